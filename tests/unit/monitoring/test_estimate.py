"""Accuracy estimated without labels, its interval, and the score of past intervals."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from skyclass.monitoring.accuracy_job import WindowAccuracy
from skyclass.monitoring.estimate import AccuracyEstimate, estimate_accuracy
from skyclass.monitoring.interval_score import is_inside, score_intervals
from skyclass.survey.features import INPUTS, Mode, make_features
from skyclass.survey.observation import CLASSES, Era
from skyclass.tables.log.schema import PROBABILITIES
from tests.support.accuracy import DAY, make_labelled_window
from tests.support.monitoring import END, add_predictions, draw_observations

MODE = Mode.PHOTOMETRIC
TRAINING_ROWS = 3_000


@pytest.fixture(scope="module")
def legacy() -> pd.DataFrame:
    return draw_observations(Era.LEGACY, 12_000, seed=1)


@pytest.fixture(scope="module")
def predictions(legacy: pd.DataFrame) -> pd.DataFrame:
    """Predictions of a random forest on rows it was not trained on."""
    return predict(train(legacy.head(TRAINING_ROWS)), legacy.iloc[TRAINING_ROWS:])


@pytest.fixture(scope="module")
def reference(predictions: pd.DataFrame) -> pd.DataFrame:
    return predictions.head(4_000)


@pytest.fixture(scope="module")
def window(predictions: pd.DataFrame) -> pd.DataFrame:
    return predictions.iloc[4_000:]


def train(rows: pd.DataFrame) -> RandomForestClassifier:
    forest = RandomForestClassifier(60, min_samples_leaf=3, random_state=0)
    return forest.fit(make_features(rows[list(INPUTS[MODE])], MODE), rows["class"].astype(str))


def predict(model: RandomForestClassifier, rows: pd.DataFrame) -> pd.DataFrame:
    probabilities = model.predict_proba(make_features(rows[list(INPUTS[MODE])], MODE))
    return rows.assign(
        predicted=np.array(CLASSES, dtype=object)[probabilities.argmax(axis=1)],
        **dict(zip(PROBABILITIES, probabilities.T, strict=True)),
    )


def compute_accuracy(rows: pd.DataFrame) -> float:
    return float((rows["predicted"] == rows["class"]).mean())


def get_interval(reference: pd.DataFrame, window: pd.DataFrame) -> tuple[float, float]:
    estimate = estimate_accuracy(reference, window)
    assert estimate is not None
    assert estimate.lower is not None
    assert estimate.upper is not None
    assert estimate.lower <= estimate.accuracy <= estimate.upper
    return estimate.lower, estimate.upper


def test_estimate_is_accurate_without_drift(reference: pd.DataFrame, window: pd.DataFrame) -> None:
    estimate = estimate_accuracy(reference, window)
    assert estimate is not None
    assert estimate.accuracy == pytest.approx(compute_accuracy(window), abs=0.015)
    assert estimate.expected_error < 0.03


def test_estimate_follows_a_changed_mix_of_objects(
    reference: pd.DataFrame, window: pd.DataFrame
) -> None:
    difficult = window[window[list(PROBABILITIES)].max(axis=1) < 0.9]
    estimate = estimate_accuracy(reference, difficult)
    assert estimate is not None
    assert compute_accuracy(difficult) < compute_accuracy(window) - 0.1
    assert estimate.accuracy == pytest.approx(compute_accuracy(difficult), abs=0.03)


def test_estimate_does_not_detect_a_shifted_measurement(
    legacy: pd.DataFrame, reference: pd.DataFrame
) -> None:
    model = train(legacy.head(TRAINING_ROWS))
    shifted = predict(model, legacy.iloc[7_000:].assign(r=lambda rows: rows["r"] + 0.6))
    estimate = estimate_accuracy(reference, shifted)
    assert estimate is not None
    assert estimate.accuracy > compute_accuracy(shifted) + 0.05
    assert get_interval(reference, shifted)[0] > compute_accuracy(shifted)


@pytest.mark.parametrize(("reference_rows", "rows"), [(499, 100), (500, 0)])
def test_no_estimate_with_too_few_rows(
    legacy: pd.DataFrame, reference_rows: int, rows: int
) -> None:
    reference = add_predictions(legacy.head(reference_rows))
    assert estimate_accuracy(reference, add_predictions(legacy.head(rows))) is None


def test_document_of_version_0_1_0_has_no_interval() -> None:
    estimate = AccuracyEstimate.model_validate_json('{"accuracy":0.9,"calibration_error":0.02}')
    assert estimate == AccuracyEstimate(accuracy=0.9, expected_error=0.02)
    assert (estimate.lower, estimate.upper) == (None, None)
    assert estimate.model_dump_json().startswith('{"accuracy":0.9,"calibration_error":0.02,')


def test_interval_contains_the_accuracy_of_95_windows_in_100(predictions: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(60):
        rows = predictions.iloc[rng.permutation(len(predictions))[:1_600]]
        lower, upper = get_interval(rows.head(1_000), rows.tail(600))
        inside += lower <= compute_accuracy(rows.tail(600)) <= upper
    assert inside >= 54  # 57 are expected, with a standard error of 1.7


def test_interval_is_wider_with_fewer_rows(reference: pd.DataFrame, window: pd.DataFrame) -> None:
    def measure_width(reference_rows: int, rows: int) -> float:
        lower, upper = get_interval(reference.head(reference_rows), window.head(rows))
        return upper - lower

    assert measure_width(500, 4_000) > 1.3 * measure_width(4_000, 4_000)
    assert measure_width(4_000, 300) > 1.3 * measure_width(4_000, 4_000)


def test_interval_is_reproducible(reference: pd.DataFrame, window: pd.DataFrame) -> None:
    assert estimate_accuracy(reference, window) == estimate_accuracy(reference, window)


def test_reference_without_errors_does_not_prove_perfection(legacy: pd.DataFrame) -> None:
    rows = add_predictions(legacy.head(1_000))  # all correct, with one confidence
    lower, upper = get_interval(rows, rows)
    assert 0.99 < lower < 0.999
    assert upper == 1


def make_scored_window(
    correct: int, rows: int = 400, days_ago: int = 0, **changes: Any
) -> WindowAccuracy:
    """Return a window of 2,000 predictions, estimated at 0.90 with the interval 0.88 to 0.91."""
    estimate = AccuracyEstimate(accuracy=0.9, expected_error=0.01, lower=0.88, upper=0.91)
    end = END - days_ago * DAY
    return make_labelled_window(rows, correct, end, **{"estimate": estimate, **changes})


@pytest.mark.parametrize(
    ("rows", "correct", "inside"),
    [
        (2_000, 1_770, True),
        (2_000, 1_750, False),  # 0.875
        (2_000, 1_818, True),
        (2_000, 1_830, False),  # 0.915
        (200, 175, True),  # 0.875, but with the sampling error of 200 labels
        (200, 160, False),
        (99, 89, None),  # too few labels
    ],
)
def test_measured_accuracy_is_compared_with_the_interval(
    rows: int, correct: int, inside: bool | None
) -> None:
    assert is_inside(make_scored_window(correct, rows)) is inside


def test_windows_without_interval_or_labels_are_not_scored() -> None:
    old = AccuracyEstimate(accuracy=0.9, expected_error=0.01)
    windows = [make_scored_window(360, **each) for each in ({"estimate": old}, {"estimate": None})]
    windows.append(make_scored_window(360, measured=None))
    score = score_intervals(windows)
    assert (score.windows, score.coverage, score.is_poor) == (0, None, False)


def test_coverage_is_the_share_of_disjoint_windows_inside() -> None:
    windows = [make_scored_window(360 if days < 9 else 200, 400, days) for days in range(9, -1, -1)]
    score = score_intervals([*windows, windows[-1]])
    assert (score.windows, score.inside, score.coverage) == (10, 9, 0.9)


@pytest.mark.parametrize(
    ("outside", "windows", "poor"),
    [(1, 1, False), (2, 2, True), (2, 10, False), (4, 10, True), (3, 30, False), (6, 30, True)],
)
def test_coverage_is_poor_beyond_chance(outside: int, windows: int, poor: bool) -> None:
    found = [
        make_scored_window(200 if days < outside else 360, 400, days)
        for days in range(windows - 1, -1, -1)
    ]
    assert score_intervals(found).is_poor is poor
