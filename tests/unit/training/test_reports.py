"""The training report and the reference that a release carries."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from skyclass.survey.features import Mode
from skyclass.tables.log.schema import PROBABILITIES, REFERENCE_SCHEMA
from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import ModelEvaluation
from skyclass.training.gate import check_gate
from skyclass.training.reference import make_reference
from skyclass.training.reports.training import render_training_report
from skyclass.training.results import CalibrationResult, FitSummary


@pytest.mark.parametrize("mode", Mode)
def test_reference_is_the_random_holdout_with_predictions(
    mode: Mode, dataset: Dataset, evaluation: ModelEvaluation
) -> None:
    of_mode = Dataset(dataset.rows, dataset.summary, mode)
    rows = make_reference(of_mode, evaluation.random_probabilities, seed=0)
    pa.Table.from_pandas(rows, schema=REFERENCE_SCHEMA, preserve_index=False)
    assert len(rows) == dataset.random_holdout.sum()
    np.testing.assert_allclose(rows[list(PROBABILITIES)].sum(axis=1), 1, atol=1e-6)
    assert rows["redshift"].isna().all() == (mode is Mode.PHOTOMETRIC)


def test_training_report_is_self_contained_and_names_mode_splits_and_rows(
    dataset: Dataset, models_folder: Path, evaluation: ModelEvaluation
) -> None:
    gate = check_gate(dataset, evaluation, None)
    html = render_training_report(dataset, FitSummary.load(models_folder), evaluation, gate)
    assert not re.search(r"""(src|href)=["']https?:""", html)
    assert html.count("<svg") == 4
    for text in ("spectroscopic", "Random hold-out", "Temporal hold-out", "Synthetic data"):
        assert text in html
    assert f"{evaluation.random.accuracy:.4f}" in html
    assert f"0 of {len(gate.checks)} checks failed" in html
    assert f"{evaluation.random.rows:,}" in html


def test_training_report_lists_search_and_calibration(
    dataset: Dataset, models_folder: Path, evaluation: ModelEvaluation
) -> None:
    summary = FitSummary.load(models_folder)
    html = render_training_report(
        dataset, summary, evaluation, check_gate(dataset, evaluation, None)
    )
    selected, tried = summary.search.selected, summary.search.tried
    assert f"{selected.macro_f1:.4f}<" in html
    assert f" ±&nbsp;{selected.standard_error:.4f}<" in html
    assert f"All {len(tried)} settings that were tried" in html
    for score in tried[1:]:
        for name, value in score.settings.items():
            assert f"{name} = {value}" in html
    assert [score.method in html for score in summary.calibration.scores] == [True] * 3
    assert f"{summary.calibration.method} (served)" in html
    random = evaluation.random
    assert f"calibration error {random.calibration_error:.4f}" in html
    assert f"log-loss {random.log_loss:.4f}" in html


def test_training_report_of_a_run_without_search_is_rendered(
    dataset: Dataset, models_folder: Path, evaluation: ModelEvaluation
) -> None:
    found = FitSummary.load(models_folder)
    search = found.search.model_copy(update={"tried": ()})
    changes = {"search": search, "calibration": CalibrationResult()}
    summary = found.model_copy(update=changes)
    html = render_training_report(
        dataset, summary, evaluation, check_gate(dataset, evaluation, None)
    )
    assert "served as they are" in html
    assert "that were tried" not in html
