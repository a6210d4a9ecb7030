"""Texts about the state of monitoring, in particular empty, stale and partial states."""

from datetime import datetime, timedelta

from skyclass.apps.monitor.state import ModeState
from skyclass.monitoring.decisions import Action, Decision, RunState
from skyclass.monitoring.estimate import ASSUMPTION, INTERVAL_LEVEL
from skyclass.monitoring.interval_score import IntervalScore

ACTIONS = {
    Action.RETRAIN: "Retrained",
    Action.ROLL_BACK: "Rolled back",
    Action.WAIT: "No action",
}

ESTIMATE_CAVEAT = f"The estimate is computed from the confidences of the predictions: {ASSUMPTION}."

_STALE_AFTER_PERIODS = 2
"""A window that ended more than this many periods of the drift job ago is reported as stale."""


def make_notices(state: ModeState, now: datetime, period: timedelta) -> list[str]:
    """Return what limits the validity of the page, most important first.

    Args:
        state: What the page shows.
        now: The current time.
        period: Time between two runs of the drift job.
    """
    newest, champion = state.newest, state.champion
    waiting = _explain_waiting(state, now)
    if newest is None:
        if champion is None:
            return [
                *waiting,
                "No release is served in this mode yet. Run the training pipeline; a release it "
                "promotes is shown here.",
            ]
        return [
            *waiting,
            "No window has been evaluated yet. The drift job evaluates the first window one period "
            "after the first predictions.",
        ]
    notices = waiting
    if champion is None:
        notices.append("No release is served in this mode. Run the training pipeline.")
    if now - newest.window_end > _STALE_AFTER_PERIODS * period:
        age = format_duration(now - newest.window_end)
        notices.append(
            f"This page is stale: the newest window ended {age} ago, and the drift job runs every "
            f"{format_duration(period)}. Check that it runs."
        )
    if newest.window_end > now:
        notices.append(
            f"The newest window ends in the future, at {newest.window_end:%Y-%m-%d %H:%M} UTC: it "
            "lacks later predictions, and nothing is decided after it."
        )
    if champion and newest.release != champion.id:
        notices.append(
            f"The champion has changed to {champion.id[:12]}, and none of its windows has been "
            f"evaluated yet. This page is about release {newest.release[:12]}."
        )
    if unreadable := newest.accounting.describe_unreadable():
        notices.append(f"The newest window was evaluated without {unreadable}.")
    return notices


def _explain_waiting(state: ModeState, now: datetime) -> list[str]:
    if state.waiting is None or state.waiting.request is None:
        return []
    age = format_duration(now - state.waiting.request.time)
    return [
        f"Release {state.waiting.release[:12]} has waited for approval for {age}: its page has the "
        "evidence. No training is started until someone decides."
    ]


def explain_missing_labels(state: ModeState | None) -> str:
    """Explain why no accuracy has been measured."""
    if state is None or not state.accuracies:
        return "No accuracy yet: the drift job joins labels after each window."
    newest = state.accuracies[-1]
    if newest.table_version is None:
        return (
            "No labels: the observations table is empty. Ingest observations (`skyclass ingest`)."
        )
    if newest.keyed == 0:
        return (
            "No labels can be joined: the clients send no plate, mjd and fiber_id, which identify "
            "an observation."
        )
    return "No labels have arrived for these windows yet. Late labels are joined when they arrive."


def describe_intervals(score: IntervalScore) -> str:
    """Describe how often the interval of the estimate contained the measured accuracy."""
    if not score.windows:
        return "No window with an interval has enough labels yet to compare it with."
    text = (
        f"The {INTERVAL_LEVEL:.0%} interval contained the measured accuracy in {score.inside} of "
        f"{score.windows} windows with labels"
    )
    if score.is_poor:
        return (
            f"Do not rely on the estimate. {text}, which chance does not explain: its assumption "
            "does not hold for these predictions."
        )
    return f"{text}."


def describe_outcome(decision: Decision) -> str:
    """Describe the state of the run that a decision started; empty without a run."""
    run = decision.run
    if run is None:
        return ""
    match run.state:
        case RunState.STARTING:
            return "The run is being started, or the job was killed while starting it."
        case RunState.RUNNING:
            return "The run had not ended when the drift job last checked it."
        case RunState.FAILED:
            return f"The run failed: {run.message}"
        case _:
            if run.promoted:
                return f"The new release {(run.release or '')[:12]} became champion."
            return f"The new release was not promoted: {run.message or 'see the run'}."


def format_duration(time: timedelta) -> str:
    """Return a duration in its largest unit, such as "5 days"."""
    seconds = max(0.0, time.total_seconds())
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = round(seconds / length)
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return "less than a minute"
