"""Judging, the reference, the report: from fitted models to what a release carries."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from skyclass.survey.features import Mode
from skyclass.tables.prediction_log import PROBABILITIES, REFERENCE_SCHEMA
from skyclass.training.dataset import Dataset
from skyclass.training.fit import load_models
from skyclass.training.gate import judge
from skyclass.training.judgement import Judgement, judge_models, reference
from skyclass.training.report import render


@pytest.fixture(scope="module")
def judgement(dataset: Dataset, models_folder: Path) -> Judgement:
    return judge_models(dataset, load_models(models_folder))


def test_both_holdouts_are_judged_and_say_so(dataset: Dataset, judgement: Judgement) -> None:
    random, temporal = judgement.evaluations
    assert (random.split, random.rows) == ("random_holdout", dataset.random_holdout.sum())
    assert (temporal.split, temporal.rows) == ("temporal_holdout", dataset.temporal_holdout.sum())
    assert random.mode == temporal.mode == Mode.SPECTROSCOPIC
    assert random.accuracy > 0.9


def test_rows_of_one_night_have_no_temporal_holdout_and_still_train(
    dataset: Dataset, tmp_path: Path
) -> None:
    from skyclass.training.fit import fit

    one_night = Dataset(dataset.rows.assign(mjd=55_000), dataset.summary, dataset.mode)
    fit(one_night, ["decision_tree"], 0, tmp_path)
    found = judge_models(one_night, load_models(tmp_path))
    assert [evaluation.split for evaluation in found.evaluations] == ["random_holdout"]


@pytest.mark.parametrize("mode", Mode)
def test_the_reference_is_the_holdout_with_the_models_own_answers(
    mode: Mode, dataset: Dataset, judgement: Judgement
) -> None:
    rows = reference(Dataset(dataset.rows, dataset.summary, mode), judgement, seed=0)
    pa.Table.from_pandas(rows, schema=REFERENCE_SCHEMA, preserve_index=False)
    assert len(rows) == dataset.random_holdout.sum()
    np.testing.assert_allclose(rows[list(PROBABILITIES)].sum(axis=1), 1, atol=1e-6)
    assert rows["redshift"].isna().all() == (mode is Mode.PHOTOMETRIC)


def test_the_report_stands_alone_and_names_mode_split_and_rows(
    dataset: Dataset, models_folder: Path, judgement: Judgement
) -> None:
    fitted = load_models(models_folder).summary
    html = render(dataset, fitted, judgement, judge(judgement.random, None))
    assert not re.search(r"""(src|href)=["']https?:""", html)
    assert html.count("<svg") == 4
    for text in ("spectroscopic", "random holdout", "temporal holdout", "Synthetic data"):
        assert text in html
    assert f"{judgement.random.accuracy:.4f}" in html
    assert f"{judgement.random.rows:,}" in html
