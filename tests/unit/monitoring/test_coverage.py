"""The coverage of label sets is measured as labels arrive, and starts a run if it has fallen."""

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from skyclass.monitoring.accuracy_job import WindowAccuracy
from skyclass.monitoring.coverage import LabelSetCoverage, measure_coverage, pool_coverage
from skyclass.monitoring.coverage_shortfall import compare_coverage
from skyclass.monitoring.decisions import Action, Cause
from skyclass.monitoring.retraining_context import Choice, RetrainingContext
from skyclass.monitoring.retraining_policy import decide
from skyclass.monitoring.verdict import Verdict
from skyclass.registry.label_sets import LabelSets
from skyclass.registry.patterns import NO_GROUPS
from skyclass.survey.observation import CLASSES
from skyclass.tables.log.schema import PROBABILITIES
from skyclass.training.uncertainty.calibration_rows import CalibrationRows
from skyclass.training.uncertainty.conformal import calibrate_label_sets
from tests.support.accuracy import CHAMPION, make_holdout, make_labelled_window
from tests.support.monitoring import END, make_daily_verdict
from tests.support.uncertainty import draw_rows, make_patterns

DAY = timedelta(days=1)
PROMISE = 0.95
SHARES = np.array([0.6, 0.2, 0.2])
CALIBRATION = (600, 200, 200)


@pytest.fixture(scope="module")
def label_sets() -> LabelSets:
    return calibrate_label_sets(make_patterns(draw_rows(3_000, seed=0)))


def make_labelled(rows: CalibrationRows, **columns: Any) -> pd.DataFrame:
    """Return predictions with a label: half of them bright Legacy objects, half faint BOSS ones."""
    size = len(rows.labels)
    defaults = {
        **dict(zip(PROBABILITIES, rows.probabilities.T, strict=True)),
        **dict.fromkeys("ugiz", 19.0),
        "r": np.where(np.arange(size) % 2, 17.0, 21.5),
        "mjd": np.where(np.arange(size) % 2, 52_000, 56_000),
        "class": np.array(CLASSES, dtype=object)[rows.labels],
    }
    return pd.DataFrame({**defaults, **columns})


def make_coverage(rows: int, covered: int, promise: float = PROMISE) -> LabelSetCoverage:
    """Return the coverage of a window, its classes in the shares of the calibration rows."""
    parts = {
        name: {"rows": int(rows * share), "covered": int(covered * share)}
        for name, share in zip(CLASSES, SHARES, strict=True)
    }
    return LabelSetCoverage.model_validate(
        {
            **{"rows": rows, "covered": covered, "promise": promise, "mean_size": 1.2},
            **{"classes": parts, "magnitudes": {}, "eras": {}},
        }
    )


def make_window(
    covered: int, rows: int = 1_000, end: Any = END, promise: float = PROMISE
) -> WindowAccuracy:
    coverage = make_coverage(rows, covered, promise)
    return make_labelled_window(rows, round(0.97 * rows), end, label_sets=coverage)


def decide_after(*windows: WindowAccuracy, **changes: Any) -> Choice:
    """Decide without drift or a fall of the accuracy, with new labels."""
    defaults: dict[str, Any] = {
        **{"now": END, "champion": CHAMPION, "parent": None, "trained_on": 1, "table_version": 2},
        "verdicts": [make_daily_verdict(Verdict.NO_DRIFT, CHAMPION, END)],
        "accuracies": windows,
        "holdout": make_holdout(),
        "label_sets": LabelSets(rows={NO_GROUPS: CALIBRATION}, thresholds={NO_GROUPS: ()}),
    }
    return decide(RetrainingContext(**{**defaults, **changes}))


def test_coverage_of_exchangeable_rows_is_the_promise(label_sets: LabelSets) -> None:
    measured = measure_coverage(make_labelled(draw_rows(8_000, seed=1)), label_sets, {}, PROMISE)
    assert measured is not None
    assert measured.share == pytest.approx(PROMISE, abs=0.015)
    assert 1 <= measured.mean_size <= 3
    for parts in (measured.classes, measured.magnitudes, measured.eras):
        assert sum(each.rows for each in parts.values()) == 8_000
        assert sum(each.covered for each in parts.values()) == measured.covered
    assert set(measured.magnitudes) == {"r < 18", "r 21 to 22"}
    assert set(measured.eras) == {"legacy", "boss"}


def test_row_without_a_band_is_measured(label_sets: LabelSets) -> None:
    rows = make_labelled(draw_rows(500, seed=1), r=np.nan)
    measured = measure_coverage(rows, label_sets, {}, PROMISE)
    assert measured is not None
    assert (measured.rows, measured.magnitudes) == (500, {})


def test_nothing_is_measured_without_labels(label_sets: LabelSets) -> None:
    empty = make_labelled(draw_rows(1, seed=1)).head(0)
    assert measure_coverage(empty, label_sets, {}, PROMISE) is None
    assert pool_coverage([]) is None


def test_windows_with_another_promise_are_not_pooled() -> None:
    pooled = pool_coverage([make_coverage(500, 400, 0.8), make_coverage(100, 95)])
    assert pooled is not None
    assert (pooled.rows, pooled.covered, pooled.promise) == (100, 95, PROMISE)


def test_rows_that_are_not_exchangeable_start_a_run(label_sets: LabelSets) -> None:
    """The model has become overconfident: its probabilities are sharper than its errors."""
    rows = draw_rows(1_500, seed=1)
    sharper = rows.probabilities**3
    changed = CalibrationRows(rows.labels, sharper / sharper.sum(axis=1, keepdims=True))
    for labelled, cause in ((rows, Cause.STEADY), (changed, Cause.COVERAGE)):
        coverage = measure_coverage(make_labelled(labelled), label_sets, {}, PROMISE)
        window = make_labelled_window(1_500, 1_455, label_sets=coverage)
        assert decide_after(window, label_sets=label_sets).cause is cause


def test_run_has_the_numbers_as_its_reason() -> None:
    choice = decide_after(make_window(900))
    assert (choice.action, choice.cause) == (Action.RETRAIN, Cause.COVERAGE)
    assert choice.reason == (
        "the coverage of the label sets has fallen below the promise (p = 9e-06): 90.0% of the "
        "label sets of 1,000 labelled rows have the true class, 95.0% are promised"
    )


@pytest.mark.parametrize(
    ("windows", "cause"),
    [
        ([make_window(950)], Cause.STEADY),
        ([make_window(930)], Cause.STEADY),  # explained by the finite hold-out
        ([make_window(890, rows=999)], Cause.STEADY),
        ([make_window(445, 500, END - DAY), make_window(445, 500)], Cause.COVERAGE),
        ([make_window(445, 500), make_window(445, 500)], Cause.STEADY),  # the same predictions
        ([make_window(445, 500, END - DAY, 0.9), make_window(445, 500)], Cause.STEADY),
        ([make_labelled_window(1_000, 970)], Cause.STEADY),
    ],
)
def test_only_a_deficit_beyond_chance_starts_a_run(
    windows: list[WindowAccuracy], cause: Cause
) -> None:
    assert decide_after(*windows).cause is cause


def test_accuracy_is_the_cause_if_both_have_fallen() -> None:
    window = make_labelled_window(1_000, 800, label_sets=make_coverage(1_000, 800))
    assert decide_after(window).cause is Cause.ACCURACY


def test_release_without_label_sets_is_not_compared() -> None:
    assert decide_after(make_window(800), label_sets=None).cause is Cause.STEADY


def test_steady_decision_has_the_measured_coverage() -> None:
    assert (
        "; 95.2% of the label sets of 1,000 labelled rows" in decide_after(make_window(952)).reason
    )


def test_small_holdout_explains_a_larger_deficit() -> None:
    few, many = (
        LabelSets(rows={NO_GROUPS: rows}, thresholds={NO_GROUPS: ()})
        for rows in ((60, 20, 20), (6_000, 2_000, 2_000))
    )
    p_values = []
    for label_sets in (few, many):
        test = compare_coverage([make_window(920)], CHAMPION, label_sets, 1_000)
        assert test is not None
        p_values.append(test.p_value)
    assert p_values[0] > 0.01 > p_values[1]


def test_kept_promises_start_few_runs_in_200_windows() -> None:
    """Of 2,000 champions, 1 % start a run within 200 windows; here are 30 champions."""
    rng = np.random.default_rng(0)
    calibration = np.array(CALIBRATION)
    outside = ((calibration + 1) * (1 - PROMISE)).astype(int)
    alarms = 0
    for _ in range(30):
        coverages = rng.beta(calibration + 1 - outside, outside)  # of a random calibration set
        lowest = rng.binomial(1_000, (SHARES * coverages).sum(), 200).min()
        alarms += decide_after(make_window(int(lowest))).cause is Cause.COVERAGE
    assert alarms <= 2


def test_documents_of_older_versions_have_no_coverage() -> None:
    document = make_labelled_window(100, 90)
    stored = document.model_dump_json(exclude={"label_sets"})
    assert WindowAccuracy.model_validate_json(stored).label_sets is None
    assert WindowAccuracy.model_validate_json(make_window(950).to_bytes()) == make_window(950)
