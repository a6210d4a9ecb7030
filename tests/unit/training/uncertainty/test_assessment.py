"""What a training run promises about predictions: for every pattern of inputs, on real models."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier

from skyclass.registry.models import make_joblib_engine
from skyclass.registry.patterns import NO_GROUPS, find_missing_bands, name_pattern
from skyclass.survey.features import (
    FEATURES,
    GROUP_FEATURES,
    MAGNITUDES,
    InputGroup,
    Mode,
    find_groups,
    make_features,
)
from skyclass.survey.observation import CLASSES
from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import ModelEvaluation
from skyclass.training.reports.uncertainty import render_uncertainty
from skyclass.training.uncertainty.assessment import Uncertainty, assess_uncertainty
from skyclass.training.uncertainty.calibration_rows import CalibrationRows, mask_band
from skyclass.training.uncertainty.conformal import calibrate_label_sets
from skyclass.training.uncertainty.purity_cuts import find_purity_cuts
from tests.support.datasets import make_simulated_dataset
from tests.support.uncertainty import compute_class_coverage, read_real_rows

NAMES = (
    *FEATURES[Mode.PHOTOMETRIC],
    *GROUP_FEATURES[InputGroup.TYPE],
    *GROUP_FEATURES[InputGroup.WISE],
)
TYPE, WISE = name_pattern([InputGroup.TYPE]), name_pattern([InputGroup.WISE])


@pytest.fixture(scope="module")
def photometric() -> Dataset:
    return make_simulated_dataset(Mode.PHOTOMETRIC, rows=12_000)


@pytest.fixture(scope="module")
def features(photometric: Dataset) -> npt.NDArray[np.float32]:
    """Simulated rows with a photometric type, and WISE colours of two rows in three."""
    rng = np.random.default_rng(0)
    places = np.argmax([photometric.labels == name for name in CLASSES], axis=0)
    kind = np.where((places == 0) ^ (rng.random(len(places)) < 0.1), 3, 6)
    colours = np.array([[3.0, 0.3], [3.5, 1.1], [1.0, 0.0]])[places]
    colours += rng.normal(0, 0.4, colours.shape)
    colours[::3] = np.nan
    core = photometric.rows[list(MAGNITUDES)].to_numpy(np.float64)
    optional = np.column_stack([kind, colours])
    return np.hstack([make_features(core, Mode.PHOTOMETRIC), optional]).astype(np.float32)


@pytest.fixture(scope="module")
def model(photometric: Dataset, features: npt.NDArray[np.float32]) -> DecisionTreeClassifier:
    """A tree that was fitted on rows with masked groups and bands, as a release is."""
    train = ~photometric.random_holdout
    rows, labels = features[train], photometric.labels[train]
    parts = [rows, rows.copy(), rows.copy(), mask_band(rows, NAMES, "u")]
    parts[1][:, 5:], parts[2][:, 6:] = np.nan, np.nan
    tree = DecisionTreeClassifier(min_samples_leaf=20, random_state=0)
    return tree.fit(np.concatenate(parts), np.tile(labels, len(parts)))


@pytest.fixture(scope="module")
def uncertainty(
    photometric: Dataset, features: npt.NDArray[np.float32], model: DecisionTreeClassifier
) -> Uncertainty:
    return assess_uncertainty(
        features,
        photometric.random_holdout,
        photometric.labels,
        NAMES,
        make_joblib_engine(model),
        seed=0,
        missing_bands=("u",),
    )


def test_every_pattern_is_calibrated(uncertainty: Uncertainty) -> None:
    both = name_pattern([InputGroup.TYPE, InputGroup.WISE])
    patterns = {NO_GROUPS, TYPE, WISE, both, "without u"}
    assert set(uncertainty.label_sets.thresholds) == patterns
    assert set(uncertainty.purity_cuts.cuts) == patterns
    assert {score.pattern for score in uncertainty.scores} == patterns


def test_pattern_is_calibrated_on_the_rows_that_have_its_groups(uncertainty: Uncertainty) -> None:
    rows = {name: sum(counts) for name, counts in uncertainty.label_sets.rows.items()}
    assert rows[TYPE] == rows[NO_GROUPS]
    assert rows[WISE] == pytest.approx(rows[NO_GROUPS] * 2 / 3, rel=0.05)


@pytest.mark.parametrize("masked", ["nothing", "wise", "type and wise", "u"])
def test_each_class_is_covered_with_any_inputs(
    masked: str,
    uncertainty: Uncertainty,
    photometric: Dataset,
    model: DecisionTreeClassifier,
    features: npt.NDArray[np.float32],
) -> None:
    """The calibration rows themselves: the finite-sample correction makes the share exceed it."""
    held_out = photometric.random_holdout
    changed = features[held_out].copy()
    missing = {}
    if masked == "u":
        changed = mask_band(changed, NAMES, "u")
        missing = find_missing_bands(np.full((len(changed), 5), [np.nan, 1, 1, 1, 1]))
    elif masked != "nothing":
        changed[:, NAMES.index("r-w1" if masked == "wise" else "type") :] = np.nan
    probabilities = model.predict_proba(changed)
    labels = np.argmax([photometric.labels[held_out] == name for name in CLASSES], axis=0)
    selected = uncertainty.label_sets.select(
        probabilities, find_groups(changed, NAMES), 0.9, missing
    )
    assert (compute_class_coverage(selected, labels) >= 0.9).all()


def test_scores_are_close_to_the_promise(uncertainty: Uncertainty) -> None:
    for score in uncertainty.scores:
        assert min(score.coverages) > 0.92
        assert 1 <= score.mean_size <= 3


def test_optional_groups_make_the_sets_smaller(uncertainty: Uncertainty) -> None:
    sizes = {score.pattern: score.mean_size for score in uncertainty.scores}
    assert sizes[WISE] < sizes[NO_GROUPS]
    assert sizes[NO_GROUPS] <= sizes["without u"]


def test_section_of_the_report_has_all_tables(
    uncertainty: Uncertainty,
    photometric: Dataset,
    model: DecisionTreeClassifier,
    features: npt.NDArray[np.float32],
) -> None:
    probabilities = model.predict_proba(features[photometric.random_holdout])
    html = render_uncertainty(photometric, probabilities, uncertainty)
    for text in ("Label sets", "type + wise", "without u", "Pure samples", "r 20 to 21", "Domain"):
        assert text in html
    assert html.count("<svg") == 2
    assert uncertainty.is_outside is not None
    assert f"{uncertainty.is_outside.mean():.1%} of the" in html


def test_spectroscopic_release_has_one_pattern(
    dataset: Dataset, evaluation: ModelEvaluation
) -> None:
    found = assess_uncertainty(
        dataset.features,
        dataset.random_holdout,
        dataset.labels,
        FEATURES[dataset.mode],
        lambda _: evaluation.random_probabilities,
        seed=0,
    )
    assert list(found.label_sets.thresholds) == [NO_GROUPS]


@pytest.fixture(scope="module")
def real_predictions(real_rows: Path) -> CalibrationRows:
    """Photometric predictions for 6,000 real rows that the model was not fitted on."""
    rows = read_real_rows(real_rows).sample(frac=1, random_state=0)
    features = make_features(rows[list(MAGNITUDES)].to_numpy(np.float64), Mode.PHOTOMETRIC)
    labels = rows["class"].to_numpy(object)
    model = HistGradientBoostingClassifier(max_iter=60, random_state=0)
    probabilities = model.fit(features[6_000:], labels[6_000:]).predict_proba(features[:6_000])
    places = np.argmax([labels[:6_000] == name for name in CLASSES], axis=0)
    return CalibrationRows(places, probabilities)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95, 0.98])
def test_real_rows_of_each_class_are_covered(
    coverage: float, real_predictions: CalibrationRows
) -> None:
    """The mean over 20 splits has a sampling error of 0.005 for QSO and STAR."""
    random, found = np.random.default_rng(0), []
    for _ in range(20):
        half = random.permutation(len(real_predictions.labels)) % 2 == 0
        label_sets = calibrate_label_sets({NO_GROUPS: [real_predictions.select(half)]})
        others = real_predictions.select(~half)
        selected = label_sets.select(others.probabilities, {}, coverage)
        found.append(compute_class_coverage(selected, others.labels))
    assert (np.mean(found, axis=0) > coverage - 0.01).all()


def test_real_samples_are_as_pure_as_promised(real_predictions: CalibrationRows) -> None:
    random, found = np.random.default_rng(0), []
    for _ in range(20):
        half = random.permutation(len(real_predictions.labels)) % 2 == 0
        cuts = find_purity_cuts({NO_GROUPS: [real_predictions.select(half)]})
        others = real_predictions.select(~half)
        certain = cuts.find_certain(others.probabilities, 0.9, {})
        right = others.probabilities.argmax(axis=1) == others.labels
        found.append(right[certain].mean())
    assert np.mean(found) > 0.9
    assert min(found) > 0.88
