"""The decision after a window: what makes it act, and everything that holds it back."""

from datetime import timedelta
from typing import Any

import pytest

from skyclass.monitoring.measuring import Rivalry, WindowAccuracy
from skyclass.monitoring.retraining import (
    Action,
    Cause,
    Decision,
    Limits,
    Run,
    RunState,
    Situation,
    decide,
)
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.survey.features import Mode
from tests.support.monitoring import END, START, verdict_of

DAY = timedelta(days=1)
CHAMPION, PARENT = "c" * 64, "a" * 64
DRIFT, STEADY = Verdict.DRIFT, Verdict.NO_DRIFT
FEW, BAD = Verdict.INSUFFICIENT_DATA, Verdict.DATA_QUALITY


def windows(*verdicts: Verdict, release: str = CHAMPION) -> list[DriftVerdict]:
    """Daily windows, the last of which ends at END."""
    ends = [END - DAY * days for days in reversed(range(len(verdicts)))]
    return [verdict_of(each, release, end) for each, end in zip(verdicts, ends, strict=True)]


def situation(**changes: Any) -> Situation:
    """Drift that lasts, new labels, and nothing that speaks against training."""
    usual: dict[str, Any] = {
        "now": END,
        "champion": CHAMPION,
        "parent": PARENT,
        "trained_on": 1,
        "table_version": 2,
        "verdicts": windows(STEADY, DRIFT, DRIFT),
    }
    return Situation(**{**usual, **changes})


def decided(ago: timedelta, **changes: Any) -> Decision:
    """A run that began some time ago, on the table's first version."""
    usual: dict[str, Any] = {
        "mode": Mode.SPECTROSCOPIC,
        "window_end": END - ago,
        "decided_at": END - ago,
        "champion": CHAMPION,
        "table_version": 1,
        "action": Action.RETRAIN,
        "cause": Cause.DRIFT,
        "reason": "for a test",
        "run": Run(state=RunState.SUCCEEDED, id="run"),
    }
    return Decision(**{**usual, **changes})


def against_parent(rows: int, only_release: int, only_parent: int, **changes: Any) -> Any:
    """What labels say of the champion and its parent in one window."""
    found = Rivalry(parent=PARENT, rows=rows, only_release=only_release, only_parent=only_parent)
    usual: dict[str, Any] = {
        "mode": Mode.SPECTROSCOPIC,
        "release": CHAMPION,
        "window_start": START,
        "window_end": END,
        "answers": rows,
        "keyed": rows,
        "table_version": 1,
        "estimate": None,
        "measured": None,
        "rivalry": found,
    }
    return WindowAccuracy(**{**usual, **changes})


def test_drift_that_lasts_and_new_labels_start_a_run() -> None:
    choice = decide(situation())
    assert (choice.action, choice.cause) == (Action.RETRAIN, Cause.DRIFT)
    assert choice.reason.startswith("2 of the last 3 windows drifted (the newest ended 2026-05-02")


@pytest.mark.parametrize(
    ("verdicts", "action"),
    [
        ([DRIFT], Action.WAIT),
        ([DRIFT, DRIFT], Action.RETRAIN),
        ([DRIFT, STEADY, DRIFT], Action.RETRAIN),
        ([DRIFT, FEW, DRIFT], Action.RETRAIN),
        ([DRIFT, DRIFT, STEADY], Action.RETRAIN),
        ([DRIFT, DRIFT, STEADY, STEADY], Action.WAIT),
        ([DRIFT, FEW, FEW], Action.WAIT),
        ([STEADY, STEADY, DRIFT], Action.WAIT),
        ([FEW, FEW, FEW], Action.WAIT),
    ],
)
def test_two_of_the_last_three_windows_must_drift(verdicts: list[Verdict], action: Action) -> None:
    choice = decide(situation(verdicts=windows(*verdicts)))
    assert choice.action is action
    if action is Action.WAIT:
        assert choice.cause is Cause.STEADY


def test_windows_of_another_release_do_not_count() -> None:
    verdicts = [*windows(DRIFT, DRIFT, DRIFT, release=PARENT), *windows(DRIFT)]
    choice = decide(situation(verdicts=verdicts))
    assert choice.cause is Cause.STEADY
    assert choice.reason.startswith("1 of the champion's last 1 windows drifted, and 2 of 3 must")


def test_bad_data_never_starts_a_run() -> None:
    choice = decide(situation(verdicts=windows(DRIFT, DRIFT, BAD)))
    assert (choice.action, choice.cause) == (Action.WAIT, Cause.DATA_QUALITY)


@pytest.mark.parametrize("state", [RunState.STARTING, RunState.RUNNING])
def test_never_two_runs_at_once(state: RunState) -> None:
    flying = decided(10 * DAY, run=Run(state=state))
    choice = decide(situation(decisions=[flying]))
    assert (choice.action, choice.cause) == (Action.WAIT, Cause.RUN_IN_FLIGHT)


@pytest.mark.parametrize(
    ("last", "cause"),
    [
        (decided(DAY - timedelta(minutes=1)), Cause.COOLDOWN),
        (decided(DAY), Cause.DRIFT),
        (decided(timedelta(hours=1), action=Action.ROLL_BACK, run=None), Cause.COOLDOWN),
        (decided(timedelta(hours=1), action=Action.WAIT, run=None), Cause.DRIFT),
        (decided(timedelta(hours=1), run=Run(state=RunState.FAILED)), Cause.DRIFT),  # not begun
        (decided(timedelta(hours=1), run=Run(state=RunState.FAILED, id="x")), Cause.COOLDOWN),
    ],
)
def test_there_is_a_pause_after_whatever_was_begun(last: Decision, cause: Cause) -> None:
    assert decide(situation(decisions=[last])).cause is cause


def test_only_so_many_runs_begin_in_a_day() -> None:
    before = [decided(timedelta(hours=hours)) for hours in (20, 10)]
    limits = Limits(cooldown=timedelta(hours=1), per_day=2)
    assert decide(situation(decisions=before, limits=limits)).cause is Cause.DAILY_CAP
    assert decide(situation(decisions=before[1:], limits=limits)).cause is Cause.DRIFT


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"table_version": None}, Cause.NOTHING_NEW),
        ({"table_version": 1}, Cause.NOTHING_NEW),
        ({"decisions": [decided(9 * DAY, table_version=2)]}, Cause.NOTHING_NEW),
        ({"decisions": [decided(9 * DAY, table_version=2, action=Action.WAIT, run=None)]},
         Cause.DRIFT),
    ],
)  # fmt: skip
def test_what_has_been_trained_on_is_not_trained_on_again(
    changes: dict[str, Any], cause: Cause
) -> None:
    assert decide(situation(**changes)).cause is cause


@pytest.mark.parametrize(
    ("found", "rolled_back"),
    [
        ([against_parent(1_000, 5, 60)], True),
        ([against_parent(400, 2, 30), against_parent(400, 2, 30)], True),  # together enough
        ([against_parent(499, 5, 60)], False),  # too few labels
        ([against_parent(1_000, 60, 5)], False),  # better
        ([against_parent(10_000, 10, 60)], False),  # worse by half a percent: not worth it
        ([against_parent(1_000, 95, 110)], False),  # worse by chance
        ([against_parent(1_000, 5, 60, release=PARENT)], False),  # another release's window
        ([against_parent(1_000, 5, 60, rivalry=None)], False),  # no labels
    ],
)
def test_a_release_that_its_parent_would_beat_is_rolled_back(
    found: list[WindowAccuracy], rolled_back: bool
) -> None:
    choice = decide(situation(accuracies=found, verdicts=windows(STEADY)))
    assert (choice.action is Action.ROLL_BACK) == rolled_back
    if rolled_back:
        assert "right less often than its parent aaaaaaaaaaaa" in choice.reason


def test_a_rollback_comes_before_a_run() -> None:
    choice = decide(situation(accuracies=[against_parent(1_000, 5, 60)]))
    assert choice.action is Action.ROLL_BACK


def test_a_release_that_came_back_is_not_rolled_back() -> None:
    found = [against_parent(1_000, 5, 60)]
    assert decide(situation(accuracies=found, parent=None)).action is Action.RETRAIN
