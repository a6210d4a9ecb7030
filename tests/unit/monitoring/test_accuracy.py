"""Measured and estimated accuracy."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from skyclass.monitoring.accuracy import (
    AccuracyEstimate,
    estimate_accuracy,
    join_labels,
    measure_accuracy,
    pool_accuracy,
)
from skyclass.survey.features import INPUTS, Mode, make_features
from skyclass.survey.observation import CLASSES, Era
from skyclass.tables.prediction_log import PROBABILITIES
from tests.support.monitoring import add_predictions, draw_observations

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


def test_labels_are_joined_by_key(legacy: pd.DataFrame) -> None:
    rows = add_predictions(legacy.head(6)).drop(columns="class")
    rows["fiber_id"] = rows["fiber_id"].astype("Int32")
    rows.loc[5, "fiber_id"] = pd.NA  # the client sent no key
    labels = legacy.head(5).sample(frac=1, random_state=0)
    labels.loc[labels.index[0], "class"] = None  # observed, but not yet classified
    joined = join_labels(rows, labels)
    assert len(joined) == 4
    assert (joined["class"] == joined["predicted"]).all()


def test_object_predicted_twice_counts_twice(legacy: pd.DataFrame) -> None:
    rows = add_predictions(legacy.head(3)).drop(columns="class")
    assert len(join_labels(pd.concat([rows, rows]), legacy.head(3))) == 6


def test_scores_of_labelled_rows() -> None:
    true = ["GALAXY"] * 6 + ["STAR"] * 4
    predicted = ["GALAXY"] * 5 + ["QSO"] + ["STAR"] * 3 + ["GALAXY"]
    measured = measure_accuracy(40, pd.DataFrame({"class": true, "predicted": predicted}))
    assert measured is not None
    assert measured.rows == 10
    assert measured.coverage == 0.25
    assert measured.accuracy == 0.8
    assert measured.recalls == {"GALAXY": pytest.approx(5 / 6), "STAR": 0.75}  # no QSO occurs
    assert measured.confusion == ((5, 1, 0), (0, 0, 0), (1, 0, 3))


def test_nothing_is_measured_without_labels() -> None:
    assert measure_accuracy(40, pd.DataFrame({"class": [], "predicted": []})) is None
    assert pool_accuracy(40, []) is None


def test_pooled_accuracy_is_weighted_by_rows() -> None:
    right = pd.DataFrame({"class": ["STAR"] * 30, "predicted": ["STAR"] * 30})
    wrong = pd.DataFrame({"class": ["STAR"] * 10, "predicted": ["QSO"] * 10})
    windows = [measure_accuracy(60, right), measure_accuracy(20, wrong)]
    pooled = pool_accuracy(100, [window for window in windows if window])
    assert pooled is not None
    assert (pooled.rows, pooled.accuracy, pooled.coverage) == (40, 0.75, 0.4)


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


@pytest.mark.parametrize(("reference_rows", "rows"), [(499, 100), (500, 0)])
def test_no_estimate_with_too_few_rows(
    legacy: pd.DataFrame, reference_rows: int, rows: int
) -> None:
    reference = add_predictions(legacy.head(reference_rows))
    assert estimate_accuracy(reference, add_predictions(legacy.head(rows))) is None


def test_stored_name_of_the_expected_error_is_stable() -> None:
    stored = '{"accuracy":0.9,"calibration_error":0.02}'
    estimate = AccuracyEstimate.model_validate_json(stored)
    assert estimate.expected_error == 0.02
    assert estimate.model_dump_json() == stored
