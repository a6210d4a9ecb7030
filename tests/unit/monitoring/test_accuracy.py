"""Measured accuracy."""

import pandas as pd
import pytest

from skyclass.monitoring.accuracy import join_labels, measure_accuracy, pool_accuracy
from skyclass.survey.observation import Era
from tests.support.monitoring import add_predictions, draw_observations


@pytest.fixture(scope="module")
def legacy() -> pd.DataFrame:
    return draw_observations(Era.LEGACY, 6, seed=1)


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
