"""The retraining policy: retrain, roll back or wait, as a pure function of recorded documents.

Drift alone does not show that a model is worse, so the policy acts slowly: two of three windows
must drift, runs are limited in number and rate, and there must be new labels. Whether a new release
is better is decided by the training gate on the newest labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from scipy.stats import binomtest

from skyclass.monitoring.accuracy_job import WindowAccuracy
from skyclass.monitoring.decisions import Action, Cause, Decision
from skyclass.monitoring.evidence import count_drifted, pool_comparisons
from skyclass.monitoring.verdict import DriftVerdict, Verdict

RECENT_WINDOWS = 3
MIN_DRIFTED_WINDOWS = 2
"""How many of the `RECENT_WINDOWS` must drift. By chance, one window of 500 rows drifts in a
hundred, but two of three in one case of three thousand."""

ROLLBACK_MARGIN = 0.01
"""Share of labelled rows by which a release must be worse than its parent to be rolled back."""
MIN_COMPARED_ROWS = 500
"""Minimum number of labelled rows to compare a release with its parent."""
ROLLBACK_SIGNIFICANCE = 0.01
"""Upper bound of the p-value of McNemar's test."""


@dataclass(frozen=True)
class Limits:
    """Limits on training runs and rollbacks.

    Attributes:
        cooldown: Minimum time between two.
        per_day: Maximum number in 24 hours.
    """

    cooldown: timedelta = timedelta(hours=24)
    per_day: int = 2


@dataclass(frozen=True)
class RetrainingContext:
    """Input of the retraining policy.

    Attributes:
        now: The current time.
        champion: Id of the champion.
        parent: The release that the champion replaced; None for the first champion and for one
            that was promoted again.
        trained_on: Version of the observations table the champion was trained on.
        table_version: Current version of that table; None without a table.
        verdicts: Verdicts on the newest windows, oldest first; at least one.
        accuracies: Accuracy of these windows.
        decisions: Earlier decisions, oldest first.
        limits: Limits on training runs.
        waiting: Id of the release that waits for an approval, if one does.
    """

    now: datetime
    champion: str
    parent: str | None
    trained_on: int
    table_version: int | None
    verdicts: Sequence[DriftVerdict]
    accuracies: Sequence[WindowAccuracy] = ()
    decisions: Sequence[Decision] = ()
    limits: Limits = field(default_factory=Limits)
    waiting: str | None = None


@dataclass(frozen=True)
class Choice:
    """What to do, by which rule, and why."""

    action: Action
    cause: Cause
    reason: str


def decide(context: RetrainingContext) -> Choice:
    """Decide what to do after the newest window."""
    return (
        _check_rollback(context)
        or _check_drift(context)
        or _check_limits(context)
        or _check_new_labels(context)
        or _retrain(context)
    )


def _check_rollback(context: RetrainingContext) -> Choice | None:
    """Roll back a champion that is significantly worse than its parent.

    A release that was promoted again has no parent, so two releases never alternate.
    """
    comparison = pool_comparisons(context.accuracies, context.champion, context.parent)
    if comparison is None or comparison.rows < MIN_COMPARED_ROWS:
        return None
    deficit = (comparison.only_parent - comparison.only_release) / comparison.rows
    if deficit < ROLLBACK_MARGIN:
        return None
    discordant = comparison.only_parent + comparison.only_release
    test = binomtest(comparison.only_parent, discordant, alternative="greater")  # McNemar's test
    if test.pvalue >= ROLLBACK_SIGNIFICANCE:
        return None
    return Choice(
        Action.ROLL_BACK,
        Cause.WORSE_THAN_PARENT,
        f"release {context.champion[:12]} is less accurate than its parent "
        f"{comparison.parent[:12]} by {deficit:.1%} on {comparison.rows:,} labelled rows",
    )


def _check_drift(context: RetrainingContext) -> Choice | None:
    """Wait unless enough of the recent windows drifted."""
    newest = context.verdicts[-1]
    if newest.verdict is Verdict.DATA_QUALITY:
        return Choice(
            Action.WAIT,
            Cause.DATA_QUALITY,
            "the newest window has a data quality problem, which retraining does not correct",
        )
    drifted, windows = count_drifted(context.verdicts, context.champion, RECENT_WINDOWS)
    if drifted < MIN_DRIFTED_WINDOWS:
        return Choice(
            Action.WAIT,
            Cause.STEADY,
            f"{drifted} of the champion's last {windows} windows drifted, "
            f"{MIN_DRIFTED_WINDOWS} of {RECENT_WINDOWS} are required (newest: {newest.verdict})",
        )
    return None


def _check_limits(context: RetrainingContext) -> Choice | None:
    """Wait while a run is active, and while the limits on runs are reached."""
    acted = [decision for decision in context.decisions if decision.has_acted]
    active = next((decision for decision in acted if decision.run and decision.run.is_active), None)
    if active:
        return Choice(
            Action.WAIT,
            Cause.RUN_IN_FLIGHT,
            f"drift, but the run started at {active.decided_at:%Y-%m-%d %H:%M} UTC is not finished",
        )
    if context.waiting:  # another run would supersede it before anyone has decided
        return Choice(
            Action.WAIT,
            Cause.APPROVAL_PENDING,
            f"drift, but release {context.waiting[:12]} waits for approval: decide about it "
            f"(`skyclass promote {context.waiting[:12]} --approve` or `--decline`)",
        )
    limits = context.limits
    if acted and context.now - acted[-1].decided_at < limits.cooldown:
        last = acted[-1]
        kind = "rollback" if last.action is Action.ROLL_BACK else "run"
        return Choice(
            Action.WAIT,
            Cause.COOLDOWN,
            f"drift, but the last {kind} was at {last.decided_at:%Y-%m-%d %H:%M} UTC; the cooldown "
            f"ends at {last.decided_at + limits.cooldown:%Y-%m-%d %H:%M} UTC",
        )
    recent = sum(context.now - decision.decided_at < timedelta(days=1) for decision in acted)
    if recent >= limits.per_day:
        return Choice(
            Action.WAIT,
            Cause.DAILY_CAP,
            f"drift, but {recent} runs started within 24 hours, {limits.per_day} are allowed",
        )
    return None


def _check_new_labels(context: RetrainingContext) -> Choice | None:
    """Wait if the observations table has not changed since the last training."""
    used = [
        context.trained_on,
        *(
            decision.table_version
            for decision in context.decisions
            if decision.has_acted and decision.table_version is not None
        ),
    ]
    if context.table_version is None or context.table_version <= max(used):
        return Choice(
            Action.WAIT,
            Cause.NOTHING_NEW,
            "drift, but no observations were ingested since the last training: ingest new labels "
            "(`skyclass ingest URI`)",
        )
    return None


def _retrain(context: RetrainingContext) -> Choice:
    drifted, windows = count_drifted(context.verdicts, context.champion, RECENT_WINDOWS)
    newest = context.verdicts[-1]
    return Choice(
        Action.RETRAIN,
        Cause.DRIFT,
        f"{drifted} of the last {windows} windows drifted (the newest ended "
        f"{newest.window_end:%Y-%m-%d %H:%M} UTC)",
    )
