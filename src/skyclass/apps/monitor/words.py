"""What the state of things is called, in words; empty, stale and partial states above all."""

from datetime import datetime, timedelta

from skyclass.apps.monitor.reading import Reading
from skyclass.monitoring.accuracy import ASSUMPTION
from skyclass.monitoring.retraining import Action, Decision, RunState

ACTIONS = {
    Action.RETRAIN: "Trained again",
    Action.ROLL_BACK: "Rolled back",
    Action.WAIT: "Did not retrain",
}

ESTIMATE_CAVEAT = f"Estimated from the confidences of the answers: {ASSUMPTION}."

_LATE_AFTER = 2
"""A window that ended so many of its own lengths ago should have been followed by another."""


def notices(found: Reading, now: datetime) -> list[str]:
    """What a visitor should know before believing the page, most important first."""
    said = []
    newest = found.newest
    if found.champion is None:
        said.append(
            "Nothing is served in this mode yet. Run the training pipeline; what it promotes "
            "appears here."
        )
    if newest is None:
        if found.champion is not None:
            said.append(
                "No window has been judged yet. The drift job judges the first one after the "
                "release has answered for a whole period."
            )
        return said
    length = newest.window_end - newest.window_start
    if now - newest.window_end > _LATE_AFTER * length:
        said.append(
            f"What you see is old: the newest window ended {duration(now - newest.window_end)} "
            f"ago, and windows are {duration(length)} long. The drift job may not be running."
        )
    if found.champion and newest.release != found.champion.id:
        said.append(
            f"The champion has changed since: {found.champion.id[:12]} answers now, and no window "
            f"of its answers has been judged. Below is release {newest.release[:12]}."
        )
    if newest.accounting.unreadable_files:
        said.append(
            f"{newest.accounting.unreadable_files} log files of the newest window could not be "
            "read; it was judged without them."
        )
    return said


def labels_missing(found: Reading) -> str:
    """Why no accuracy has been measured, when none has."""
    if not found.accuracies:
        return "Nothing is known yet: the drift job looks for labels after each window."
    newest = found.accuracies[-1]
    if newest.table_version is None:
        return (
            "No labels: nothing has been ingested into the observations table (`skyclass ingest`)."
        )
    if newest.keyed == 0:
        return (
            "No labels can arrive: the callers send no plate, mjd and fiber_id, by which an answer "
            "finds its label."
        )
    return "No labels have arrived for these windows yet. Those that come late are joined to them."


def outcome(decision: Decision) -> str:
    """What came of a decision."""
    run = decision.run
    if run is None:
        return ""
    match run.state:
        case RunState.STARTING:
            return "The run is being started, or its job was killed while it was."
        case RunState.RUNNING:
            return "The run is under way."
        case RunState.FAILED:
            return f"The run failed: {run.message}"
        case _:
            if run.promoted:
                return f"The new release {(run.release or '')[:12]} became champion."
            return f"The new release was not promoted: {run.message or 'see the run'}."


def duration(time: timedelta) -> str:
    """A span of time, in its largest unit."""
    seconds = max(0.0, time.total_seconds())
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = round(seconds / length)
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return "less than a minute"
