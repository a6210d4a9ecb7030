"""Models that use optional inputs where a row has them, and predict rows that lack some."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from skyclass.registry.manifest import ALL_GROUPS, MAX_FORMAT_DIFFERENCE
from skyclass.registry.models import LoadedModel, load_onnx_engine
from skyclass.registry.releases import DUST_MAP, Release
from skyclass.survey.dust import DustMap
from skyclass.survey.features import (
    ALL_INPUTS,
    FEATURES,
    INPUTS,
    InputGroup,
    Mode,
    make_features,
)
from skyclass.training.candidates import CANDIDATES, Calibration
from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import ModelEvaluation, evaluate_champion, evaluate_models
from skyclass.training.fit import fit
from skyclass.training.fitted_models import FittedModels, load_fitted_models
from skyclass.training.gate import check_gate
from skyclass.training.input_plan import compute_masked_features, plan_inputs
from skyclass.training.masking import OPTIONAL_BANDS, remove_band, remove_group
from skyclass.training.onnx_conversion import convert_to_onnx
from skyclass.training.partial_inputs import evaluate_missing_bands
from skyclass.training.recalibration import calibrate
from skyclass.training.reference import make_reference
from skyclass.training.reports.card import render_model_card
from skyclass.training.reports.training import render_training_report
from tests.support.datasets import make_simulated_dataset
from tests.support.releases import draft

MODE = Mode.PHOTOMETRIC
GROUPS = (InputGroup.TYPE, InputGroup.WISE)
SMALL = {
    "decision_tree": {},
    "forest_and_boosting": {"forest__n_estimators": 3, "boosting__max_iter": 10},
    "hist_gradient_boosting": {"max_iter": 10},
    "random_forest": {"n_estimators": 5},
}
"""Settings that make the candidates quick to fit."""


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """A photometric dataset of 4,000 simulated rows with types and WISE magnitudes."""
    return make_simulated_dataset(MODE, 4_000, groups=GROUPS)


@pytest.fixture(scope="module")
def models(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> FittedModels:
    """A decision tree that was fitted on it."""
    folder = tmp_path_factory.mktemp("wide")
    fit(dataset, ["decision_tree"], 0, folder, budget_seconds=0)
    return load_fitted_models(folder)


@pytest.fixture(scope="module")
def evaluation(dataset: Dataset, models: FittedModels) -> ModelEvaluation:
    return evaluate_models(dataset, models)


def make_patterns(dataset: Dataset) -> npt.NDArray[np.float32]:
    """Features of 50 held-out rows, with every combination of groups and missing band."""
    names = plan_inputs(dataset, ["decision_tree"]).features
    inputs = dataset.filled_inputs[dataset.random_holdout][:50]
    parts = []
    for removed in product([False, True], [False, True], [None, *OPTIONAL_BANDS[MODE]]):
        part = inputs
        for group, is_removed in zip(GROUPS, removed[:2], strict=True):
            part = remove_group(part, MODE, group) if is_removed else part
        part = remove_band(part, MODE, removed[2]) if removed[2] else part
        parts.append(make_features(part, MODE, names))
    return np.concatenate(parts)


@pytest.mark.parametrize("method", [Calibration.NONE, Calibration.TEMPERATURE])
@pytest.mark.parametrize("name", SMALL)
def test_onnx_predicts_rows_that_lack_inputs_like_joblib(
    name: str, method: Calibration, dataset: Dataset
) -> None:
    features = compute_masked_features(dataset, plan_inputs(dataset, [name]), seed=0)
    model = calibrate(CANDIDATES[name].make(0, SMALL[name]), method, 0)
    model.fit(features, dataset.labels)
    probe = make_patterns(dataset)
    engine = load_onnx_engine(convert_to_onnx(model, probe.shape[1], missing=True))
    np.testing.assert_allclose(
        engine(probe), model.predict_proba(probe), atol=MAX_FORMAT_DIFFERENCE
    )


def test_every_candidate_that_handles_missing_inputs_is_tested() -> None:
    assert set(SMALL) == {name for name, each in CANDIDATES.items() if each.handles_missing}


def test_parity_is_checked_on_rows_that_lack_inputs(models: FittedModels) -> None:
    assert models.summary.parity.passed
    assert models.summary.inputs.groups == GROUPS


def test_magnitudes_alone_are_predicted_as_by_a_model_of_magnitudes(dataset: Dataset) -> None:
    train, test = ~dataset.random_holdout, dataset.random_holdout
    plan = plan_inputs(dataset, ["hist_gradient_boosting"])
    wide, narrow = (
        CANDIDATES["hist_gradient_boosting"]
        .make(0, {"max_iter": 30})
        .fit(features[train], dataset.labels[train])
        for features in (compute_masked_features(dataset, plan, seed=0), dataset.features)
    )
    inputs = dataset.inputs[test]
    inputs[:, len(INPUTS[MODE]) :] = np.nan
    of_wide = wide.predict(make_features(inputs, MODE, plan.features))
    of_narrow = narrow.predict(dataset.features[test])
    labels = dataset.labels[test]
    # On so few rows, the difference has a standard error of 0.01.
    assert (of_wide == labels).mean() > (of_narrow == labels).mean() - 0.03


def test_groups_are_evaluated_with_and_without(
    dataset: Dataset, evaluation: ModelEvaluation
) -> None:
    assert set(evaluation.groups) == {"type", "wise", ALL_GROUPS}
    everything = evaluation.groups[ALL_GROUPS]
    assert everything.accuracy_without < min(
        evaluation.groups[name].accuracy_without for name in ("type", "wise")
    )
    wise = evaluation.groups["wise"]
    assert wise.rows == dataset.rows["w1"].notna()[dataset.random_holdout].sum()
    assert wise.macro_f1 > wise.macro_f1_without + 0.01


def test_missing_bands_are_recorded_if_the_model_reaches_the_floor(
    dataset: Dataset, models: FittedModels, evaluation: ModelEvaluation
) -> None:
    assert set(evaluation.missing_bands) == set(OPTIONAL_BANDS[MODE])
    assert evaluation.missing_bands["u"].rows == dataset.random_holdout.sum()
    plan = models.summary.inputs
    assert evaluate_missing_bands(dataset, lambda rows: np.eye(3)[[0] * len(rows)], plan) == {}


def test_missing_bands_are_not_recorded_without_training(
    dataset: Dataset, models: FittedModels
) -> None:
    untrained = models.summary.inputs.model_copy(update={"bands": ()})
    assert evaluate_missing_bands(dataset, models.release, untrained) == {}


def test_champion_without_optional_inputs_is_evaluated_on_wide_rows(dataset: Dataset) -> None:
    manifest = draft(MODE)
    assert manifest.features == FEATURES[MODE]
    seen: list[tuple[int, ...]] = []

    def engine(features: npt.NDArray[np.float32], /) -> npt.NDArray[np.float64]:
        seen.append(features.shape)
        return np.full((len(features), 3), 1 / 3)

    evaluate_champion(dataset, LoadedModel(Release("0" * 64, manifest), "joblib", engine))
    assert seen == [(dataset.random_holdout.sum(), len(FEATURES[MODE]))]


def test_extinction_is_filled_from_the_dust_map_and_released_with_it(
    dataset: Dataset, tmp_path: Path
) -> None:
    dust = DustMap(np.linspace(0.01, 0.3, 12, dtype=np.float32))
    with_dust = replace(dataset, dust_map=dust)
    plan = plan_inputs(with_dust, ["decision_tree"])
    assert InputGroup.EXTINCTION in plan.groups
    column = ALL_INPUTS[MODE].index("extinction_r")
    assert np.isnan(with_dust.inputs[:, column]).all()
    assert (with_dust.filled_inputs[:, column] > 0).all()
    with_dust.save(tmp_path)
    assert (tmp_path / DUST_MAP).exists()
    loaded = Dataset.load(tmp_path, MODE)
    np.testing.assert_array_equal(loaded.filled_inputs, with_dust.filled_inputs)


def test_reference_has_the_optional_inputs_of_the_rows(
    dataset: Dataset, evaluation: ModelEvaluation
) -> None:
    reference = make_reference(dataset, evaluation.random_probabilities, seed=0)
    held_out = dataset.rows[dataset.random_holdout]
    np.testing.assert_array_equal(reference["w1"], held_out["w1"])
    assert reference["psf_u"].isna().all()


def test_dataset_of_an_older_table_has_no_optional_inputs(dataset: Dataset) -> None:
    old = replace(dataset, rows=dataset.rows.drop(columns=["alpha", "delta", "type", "w1", "w2"]))
    assert np.isnan(old.inputs[:, len(INPUTS[MODE]) :]).all()
    assert plan_inputs(old, ["decision_tree"]).features == FEATURES[MODE]


def test_model_card_lists_what_inputs_are_worth(evaluation: ModelEvaluation) -> None:
    card = render_model_card(
        draft(
            MODE,
            metrics={each.split: each for each in evaluation.evaluations},
            groups=evaluation.groups,
            missing_bands=evaluation.missing_bands,
        )
    )
    assert "- Optional inputs: type, wise" in card
    assert "a row may lack one of u, z" in card
    assert f"| {evaluation.groups['wise'].macro_f1_without:.4f} |" in card
    assert f"| u | {evaluation.missing_bands['u'].rows:,} |" in card


def test_report_shows_inputs_and_notes_uneven_groups(
    dataset: Dataset, models: FittedModels, evaluation: ModelEvaluation
) -> None:
    wise = models.summary.inputs.coverage[1]
    assert (wise.group, wise.is_uneven) == (InputGroup.WISE, True)
    gate = check_gate(dataset, evaluation, None)
    html = render_training_report(dataset, models.summary, evaluation, gate)
    assert f"<td>{evaluation.groups['wise'].accuracy_without:.4f}</td>" in html
    assert f"<td>{evaluation.missing_bands['u'].macro_f1:.4f}</td>" in html
    assert "wise: the classes have it unequally often" in html
