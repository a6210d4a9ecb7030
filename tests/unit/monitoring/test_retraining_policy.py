"""The retraining policy: when it retrains or rolls back, and what makes it wait."""

from datetime import timedelta
from typing import Any

import pytest

from skyclass.monitoring.accuracy_job import ParentComparison, WindowAccuracy
from skyclass.monitoring.decisions import Action, Cause, Decision, Run, RunState
from skyclass.monitoring.retraining_context import Limits, RetrainingContext
from skyclass.monitoring.retraining_policy import decide
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.survey.features import Mode
from tests.support.monitoring import END, START, make_daily_verdict

DAY = timedelta(days=1)
CHAMPION, PARENT = "c" * 64, "a" * 64
DRIFT, NO_DRIFT = Verdict.DRIFT, Verdict.NO_DRIFT
FEW_ROWS, BAD_DATA = Verdict.INSUFFICIENT_DATA, Verdict.DATA_QUALITY


def make_windows(*verdicts: Verdict, release: str = CHAMPION) -> list[DriftVerdict]:
    """Daily windows, the last of which ends at END."""
    ends = [END - DAY * days for days in reversed(range(len(verdicts)))]
    return [
        make_daily_verdict(each, release, end) for each, end in zip(verdicts, ends, strict=True)
    ]


def make_context(**changes: Any) -> RetrainingContext:
    """Return a context with persistent drift, new labels and no earlier run."""
    defaults: dict[str, Any] = {
        "now": END,
        "champion": CHAMPION,
        "parent": PARENT,
        "trained_on": 1,
        "table_version": 2,
        "verdicts": make_windows(NO_DRIFT, DRIFT, DRIFT),
    }
    return RetrainingContext(**{**defaults, **changes})


def make_decision(ago: timedelta, **changes: Any) -> Decision:
    """Return a decision to retrain, on version 1 of the observations table."""
    defaults: dict[str, Any] = {
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
    return Decision(**{**defaults, **changes})


def compare_with_parent(rows: int, only_release: int, only_parent: int, **changes: Any) -> Any:
    """Return the accuracy of a window in which champion and parent are compared."""
    comparison = ParentComparison(
        parent=PARENT, rows=rows, only_release=only_release, only_parent=only_parent
    )
    defaults: dict[str, Any] = {
        "mode": Mode.SPECTROSCOPIC,
        "release": CHAMPION,
        "window_start": START,
        "window_end": END,
        "answers": rows,
        "keyed": rows,
        "table_version": 1,
        "estimate": None,
        "measured": None,
        "rivalry": comparison,
    }
    return WindowAccuracy(**{**defaults, **changes})


def test_persistent_drift_with_new_labels_starts_a_run() -> None:
    choice = decide(make_context())
    assert (choice.action, choice.cause) == (Action.RETRAIN, Cause.DRIFT)
    assert choice.reason.startswith("2 of the last 3 windows drifted (the newest ended 2026-05-02")


@pytest.mark.parametrize(
    ("verdicts", "action"),
    [
        ([DRIFT], Action.WAIT),
        ([DRIFT, DRIFT], Action.RETRAIN),
        ([DRIFT, NO_DRIFT, DRIFT], Action.RETRAIN),
        ([DRIFT, FEW_ROWS, DRIFT], Action.RETRAIN),
        ([DRIFT, DRIFT, NO_DRIFT], Action.RETRAIN),
        ([DRIFT, DRIFT, NO_DRIFT, NO_DRIFT], Action.WAIT),
        ([DRIFT, FEW_ROWS, FEW_ROWS], Action.WAIT),
        ([NO_DRIFT, NO_DRIFT, DRIFT], Action.WAIT),
        ([FEW_ROWS, FEW_ROWS, FEW_ROWS], Action.WAIT),
    ],
)
def test_two_of_the_last_three_windows_must_drift(verdicts: list[Verdict], action: Action) -> None:
    choice = decide(make_context(verdicts=make_windows(*verdicts)))
    assert choice.action is action
    if action is Action.WAIT:
        assert choice.cause is Cause.STEADY


def test_overlapping_windows_are_one_piece_of_evidence() -> None:
    hours = [timedelta(hours=hours) for hours in (2, 1, 0)]
    same_rows = [make_daily_verdict(DRIFT, CHAMPION, END - ago) for ago in hours]
    choice = decide(make_context(verdicts=same_rows))
    assert choice.reason.startswith("1 of the champion's last 1 windows drifted")

    days_before = [make_daily_verdict(each, CHAMPION, END - DAY) for each in (DRIFT, NO_DRIFT)]
    assert decide(make_context(verdicts=[days_before[0], *same_rows])).action is Action.RETRAIN
    assert decide(make_context(verdicts=[days_before[1], *same_rows])).action is Action.WAIT


def test_of_overlapping_windows_the_newest_counts() -> None:
    nested = make_daily_verdict(NO_DRIFT, CHAMPION, END).model_copy(
        update={"window_start": END - timedelta(hours=1)}
    )
    verdicts = [*make_windows(DRIFT, DRIFT)[:1], make_daily_verdict(DRIFT, CHAMPION, END - DAY / 2)]
    choice = decide(make_context(verdicts=[*verdicts, nested]))
    assert choice.reason.startswith("1 of the champion's last 2 windows drifted")


def test_labelled_rows_of_overlapping_windows_count_once() -> None:
    half = compare_with_parent(300, 2, 40)
    assert decide(make_context(accuracies=[half, half])).action is Action.RETRAIN
    earlier = half.model_copy(update={"window_start": START - DAY, "window_end": START})
    assert decide(make_context(accuracies=[earlier, half])).action is Action.ROLL_BACK


def test_windows_of_another_release_do_not_count() -> None:
    verdicts = [*make_windows(DRIFT, DRIFT, DRIFT, release=PARENT), *make_windows(DRIFT)]
    choice = decide(make_context(verdicts=verdicts))
    assert choice.cause is Cause.STEADY
    assert choice.reason.startswith(
        "1 of the champion's last 1 windows drifted, 2 of 3 are required"
    )


def test_data_quality_problem_never_starts_a_run() -> None:
    choice = decide(make_context(verdicts=make_windows(DRIFT, DRIFT, BAD_DATA)))
    assert (choice.action, choice.cause) == (Action.WAIT, Cause.DATA_QUALITY)


@pytest.mark.parametrize("state", [RunState.STARTING, RunState.RUNNING])
def test_no_run_starts_while_another_is_active(state: RunState) -> None:
    active = make_decision(10 * DAY, run=Run(state=state))
    choice = decide(make_context(decisions=[active]))
    assert (choice.action, choice.cause) == (Action.WAIT, Cause.RUN_IN_FLIGHT)


@pytest.mark.parametrize(
    ("last", "cause"),
    [
        (make_decision(DAY - timedelta(minutes=1)), Cause.COOLDOWN),
        (make_decision(DAY), Cause.DRIFT),
        (make_decision(timedelta(hours=1), action=Action.ROLL_BACK, run=None), Cause.COOLDOWN),
        (make_decision(timedelta(hours=1), action=Action.WAIT, run=None), Cause.DRIFT),
        (
            make_decision(timedelta(hours=1), run=Run(state=RunState.FAILED)),
            Cause.DRIFT,
        ),  # never started
        (make_decision(timedelta(hours=1), run=Run(state=RunState.FAILED, id="x")), Cause.COOLDOWN),
    ],
)
def test_cooldown_after_runs_and_rollbacks(last: Decision, cause: Cause) -> None:
    assert decide(make_context(decisions=[last])).cause is cause


def test_runs_per_day_are_limited() -> None:
    before = [make_decision(timedelta(hours=hours)) for hours in (20, 10)]
    limits = Limits(cooldown=timedelta(hours=1), per_day=2)
    assert decide(make_context(decisions=before, limits=limits)).cause is Cause.DAILY_CAP
    assert decide(make_context(decisions=before[1:], limits=limits)).cause is Cause.DRIFT


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"table_version": None}, Cause.NOTHING_NEW),
        ({"table_version": 1}, Cause.NOTHING_NEW),
        ({"decisions": [make_decision(9 * DAY, table_version=2)]}, Cause.NOTHING_NEW),
        ({"decisions": [make_decision(9 * DAY, table_version=2, action=Action.WAIT, run=None)]},
         Cause.DRIFT),
    ],
)  # fmt: skip
def test_retraining_needs_new_observations(changes: dict[str, Any], cause: Cause) -> None:
    assert decide(make_context(**changes)).cause is cause


@pytest.mark.parametrize(
    ("found", "rolled_back"),
    [
        ([compare_with_parent(1_000, 5, 60)], True),
        (
            [
                compare_with_parent(400, 2, 30, window_start=START - DAY, window_end=START),
                compare_with_parent(400, 2, 30),
            ],
            True,
        ),  # enough rows together
        ([compare_with_parent(499, 5, 60)], False),  # too few labels
        ([compare_with_parent(1_000, 60, 5)], False),  # better
        ([compare_with_parent(10_000, 10, 60)], False),  # worse by 0.5 %, below the margin
        ([compare_with_parent(1_000, 95, 110)], False),  # not significant
        ([compare_with_parent(1_000, 5, 60, release=PARENT)], False),  # another release's window
        ([compare_with_parent(1_000, 5, 60, rivalry=None)], False),  # no labels
    ],
)
def test_release_worse_than_its_parent_is_rolled_back(
    found: list[WindowAccuracy], rolled_back: bool
) -> None:
    choice = decide(make_context(accuracies=found, verdicts=make_windows(NO_DRIFT)))
    assert (choice.action is Action.ROLL_BACK) == rolled_back
    if rolled_back:
        assert "less accurate than its parent aaaaaaaaaaaa by" in choice.reason


def test_rollback_takes_precedence_over_retraining() -> None:
    choice = decide(make_context(accuracies=[compare_with_parent(1_000, 5, 60)]))
    assert choice.action is Action.ROLL_BACK


def test_release_without_a_parent_is_not_rolled_back() -> None:
    found = [compare_with_parent(1_000, 5, 60)]
    assert decide(make_context(accuracies=found, parent=None)).action is Action.RETRAIN
