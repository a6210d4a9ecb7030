"""Accuracy: what labels say, and what the confidences say before they come."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from skyclass.monitoring.accuracy import estimate, join_labels, measure, pool
from skyclass.survey.features import INPUTS, Mode, make_features
from skyclass.survey.observation import CLASSES, Era
from skyclass.tables.prediction_log import PROBABILITIES
from tests.support.monitoring import answered, simulated

MODE = Mode.PHOTOMETRIC
MODEL_ROWS = 3_000


@pytest.fixture(scope="module")
def legacy() -> pd.DataFrame:
    return simulated(Era.LEGACY, 12_000, seed=1)


@pytest.fixture(scope="module")
def model(legacy: pd.DataFrame) -> RandomForestClassifier:
    rows = legacy.head(MODEL_ROWS)
    forest = RandomForestClassifier(60, min_samples_leaf=3, random_state=0)
    return forest.fit(make_features(rows[list(INPUTS[MODE])], MODE), rows["class"].astype(str))


def answers(model: RandomForestClassifier, rows: pd.DataFrame) -> pd.DataFrame:
    """What the model says of rows whose class is known."""
    found = model.predict_proba(make_features(rows[list(INPUTS[MODE])], MODE))
    return rows.assign(
        predicted=np.array(CLASSES, dtype=object)[found.argmax(axis=1)],
        **dict(zip(PROBABILITIES, found.T, strict=True)),
    )


def accuracy(rows: pd.DataFrame) -> float:
    return float((rows["predicted"] == rows["class"]).mean())


def test_labels_find_their_answers_by_the_key_alone(legacy: pd.DataFrame) -> None:
    rows = answered(legacy.head(6)).drop(columns="class")
    rows["fiber_id"] = rows["fiber_id"].astype("Int32")
    rows.loc[5, "fiber_id"] = pd.NA  # the caller gave no key
    labels = legacy.head(5).sample(frac=1, random_state=0)
    labels.loc[labels.index[0], "class"] = None  # observed, but not yet classified
    joined = join_labels(rows, labels)
    assert len(joined) == 4
    assert (joined["class"] == joined["predicted"]).all()


def test_an_object_that_was_asked_about_twice_counts_twice(legacy: pd.DataFrame) -> None:
    rows = answered(legacy.head(3)).drop(columns="class")
    assert len(join_labels(pd.concat([rows, rows]), legacy.head(3))) == 6


def test_accuracy_recall_coverage_and_confusion_are_those_of_the_labelled_rows() -> None:
    true = ["GALAXY"] * 6 + ["STAR"] * 4
    said = ["GALAXY"] * 5 + ["QSO"] + ["STAR"] * 3 + ["GALAXY"]
    found = measure(40, pd.DataFrame({"class": true, "predicted": said}))
    assert found is not None
    assert found.rows == 10
    assert found.coverage == 0.25
    assert found.accuracy == 0.8
    assert found.recalls == {"GALAXY": pytest.approx(5 / 6), "STAR": 0.75}  # there was no QSO
    assert found.confusion == ((5, 1, 0), (0, 0, 0), (1, 0, 3))


def test_without_a_label_nothing_is_measured() -> None:
    assert measure(40, pd.DataFrame({"class": [], "predicted": []})) is None
    assert pool(40, []) is None


def test_windows_are_pooled_by_their_rows_not_averaged() -> None:
    right = pd.DataFrame({"class": ["STAR"] * 30, "predicted": ["STAR"] * 30})
    wrong = pd.DataFrame({"class": ["STAR"] * 10, "predicted": ["QSO"] * 10})
    found = [measure(60, right), measure(20, wrong)]
    pooled = pool(100, [each for each in found if each])
    assert pooled is not None
    assert (pooled.rows, pooled.accuracy, pooled.coverage) == (40, 0.75, 0.4)


def test_the_estimate_is_right_without_drift(
    model: RandomForestClassifier, legacy: pd.DataFrame
) -> None:
    reference = answers(model, legacy.iloc[MODEL_ROWS:7_000])
    window = answers(model, legacy.iloc[7_000:])
    found = estimate(reference, window)
    assert found is not None
    assert found.accuracy == pytest.approx(accuracy(window), abs=0.015)
    assert found.calibration_error < 0.03


def test_the_estimate_follows_when_other_objects_are_asked_about(
    model: RandomForestClassifier, legacy: pd.DataFrame
) -> None:
    reference = answers(model, legacy.iloc[MODEL_ROWS:7_000])
    rest = answers(model, legacy.iloc[7_000:])
    unsure = rest[rest[list(PROBABILITIES)].max(axis=1) < 0.9]
    found = estimate(reference, unsure)
    assert found is not None
    assert accuracy(unsure) < accuracy(rest) - 0.1
    assert found.accuracy == pytest.approx(accuracy(unsure), abs=0.03)


def test_the_estimate_is_blind_to_what_its_assumption_excludes(
    model: RandomForestClassifier, legacy: pd.DataFrame
) -> None:
    reference = answers(model, legacy.iloc[MODEL_ROWS:7_000])
    shifted = answers(model, legacy.iloc[7_000:].assign(r=lambda rows: rows["r"] + 0.6))
    found = estimate(reference, shifted)
    assert found is not None
    assert found.accuracy > accuracy(shifted) + 0.05


@pytest.mark.parametrize(("reference_rows", "rows"), [(499, 100), (500, 0)])
def test_too_little_to_calibrate_on_or_no_answers_give_no_estimate(
    legacy: pd.DataFrame, reference_rows: int, rows: int
) -> None:
    assert estimate(answered(legacy.head(reference_rows)), answered(legacy.head(rows))) is None
