"""The retraining policy: retrain, roll back or wait, as a pure function of recorded documents.

A run costs time and a rollout, so the policy acts on evidence: accuracy must have fallen beyond
doubt, or two of three windows must drift (`monitoring.triggers`); runs are limited in number and
rate, and there must be new labels. Whether a new release is better is decided by the training gate
on the newest labels.
"""

from datetime import timedelta

from scipy.stats import binomtest

from skyclass.monitoring.decisions import Action, Cause
from skyclass.monitoring.evidence import pool_comparisons
from skyclass.monitoring.retraining_context import Choice, RetrainingContext
from skyclass.monitoring.triggers import Trigger, explain_steadiness, find_trigger
from skyclass.monitoring.verdict import Verdict

ROLLBACK_MARGIN = 0.01
"""Share of labelled rows by which a release must be worse than its parent to be rolled back."""
MIN_COMPARED_ROWS = 500
"""Minimum number of labelled rows to compare a release with its parent."""
ROLLBACK_SIGNIFICANCE = 0.01
"""Upper bound of the p-value of McNemar's test."""


def decide(context: RetrainingContext) -> Choice:
    """Decide what to do after the newest window."""
    choice = _check_rollback(context) or _check_data_quality(context)
    if choice:
        return choice
    trigger = find_trigger(context)
    if trigger is None:
        return Choice(Action.WAIT, Cause.STEADY, explain_steadiness(context))
    return (
        _check_limits(context, trigger)
        or _check_new_labels(context, trigger)
        or Choice(Action.RETRAIN, trigger.cause, trigger.reason)
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


def _check_data_quality(context: RetrainingContext) -> Choice | None:
    """Wait while the requests are at fault, which a new release does not change."""
    if context.verdicts[-1].verdict is not Verdict.DATA_QUALITY:
        return None
    return Choice(
        Action.WAIT,
        Cause.DATA_QUALITY,
        "the newest window has a data quality problem, which retraining does not correct",
    )


def _check_limits(context: RetrainingContext, trigger: Trigger) -> Choice | None:
    """Wait while a run is active, and while the limits on runs are reached."""
    acted = [decision for decision in context.decisions if decision.has_acted]
    active = next((decision for decision in acted if decision.run and decision.run.is_active), None)
    if active:
        started = f"{active.decided_at:%Y-%m-%d %H:%M} UTC"
        obstacle = f"the run started at {started} is not finished"
        return _wait(trigger, Cause.RUN_IN_FLIGHT, obstacle)
    if context.waiting:  # another run would supersede it before anyone has decided
        obstacle = (
            f"release {context.waiting[:12]} waits for approval: decide about it "
            f"(`skyclass promote {context.waiting[:12]} --approve` or `--decline`)"
        )
        return _wait(trigger, Cause.APPROVAL_PENDING, obstacle)
    limits = context.limits
    if acted and context.now - acted[-1].decided_at < limits.cooldown:
        last = acted[-1]
        kind = "rollback" if last.action is Action.ROLL_BACK else "run"
        obstacle = (
            f"the last {kind} was at {last.decided_at:%Y-%m-%d %H:%M} UTC; the cooldown "
            f"ends at {last.decided_at + limits.cooldown:%Y-%m-%d %H:%M} UTC"
        )
        return _wait(trigger, Cause.COOLDOWN, obstacle)
    recent = sum(context.now - decision.decided_at < timedelta(days=1) for decision in acted)
    if recent >= limits.per_day:
        obstacle = f"{recent} runs started within 24 hours, {limits.per_day} are allowed"
        return _wait(trigger, Cause.DAILY_CAP, obstacle)
    return None


def _check_new_labels(context: RetrainingContext, trigger: Trigger) -> Choice | None:
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
        obstacle = (
            "no observations were ingested since the last training: ingest new labels "
            "(`skyclass ingest URI`)"
        )
        return _wait(trigger, Cause.NOTHING_NEW, obstacle)
    return None


def _wait(trigger: Trigger, cause: Cause, obstacle: str) -> Choice:
    return Choice(Action.WAIT, cause, f"{trigger.event}, but {obstacle}")
