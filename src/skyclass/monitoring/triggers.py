"""The events that start a training run: fallen accuracy or coverage, and drift that lasts.

The label-free estimate of accuracy is not one of them. It is wrong exactly when measurements are
shifted, and a run cannot correct those.
"""

from dataclasses import dataclass

from skyclass.monitoring.accuracy_job import WindowAccuracy
from skyclass.monitoring.coverage_shortfall import (
    COVERAGE_SIGNIFICANCE,
    CoverageTest,
    compare_coverage,
)
from skyclass.monitoring.decisions import Cause
from skyclass.monitoring.evidence import count_drifted
from skyclass.monitoring.retraining_context import RetrainingContext
from skyclass.monitoring.shortfall import Shortfall, measure_shortfall
from skyclass.monitoring.verdict import Verdict

RECENT_WINDOWS = 3
MIN_DRIFTED_WINDOWS = 2
"""How many of the `RECENT_WINDOWS` must drift. By chance, one window of 500 rows drifts in a
hundred, but two of three in one case of three thousand."""


@dataclass(frozen=True)
class Trigger:
    """An event that calls for a training run.

    Attributes:
        cause: The kind of event.
        event: The event in a few words, for the message of a limit that prevents the run.
        reason: The event with its numbers.
    """

    cause: Cause
    event: str
    reason: str


def find_trigger(context: RetrainingContext) -> Trigger | None:
    """Return the event that calls for a training run, if there is one.

    Labels are stronger evidence than drift, so fallen accuracy and coverage come first.
    """
    return _find_accuracy_fall(context) or _find_coverage_shortfall(context) or _find_drift(context)


def explain_steadiness(context: RetrainingContext) -> str:
    """Explain why there is no trigger, with the numbers."""
    drifted, windows = count_drifted(context.verdicts, context.champion, RECENT_WINDOWS)
    text = (
        f"{drifted} of the champion's last {windows} windows drifted, {MIN_DRIFTED_WINDOWS} of "
        f"{RECENT_WINDOWS} are required (newest: {context.verdicts[-1].verdict})"
    )
    shortfall, coverage = _measure_shortfall(context), _test_coverage(context)
    found = [
        *([_describe(shortfall)] if shortfall else []),
        *([_describe_coverage(coverage)] if coverage else []),
    ]
    return "; ".join([text, *found])


def _find_accuracy_fall(context: RetrainingContext) -> Trigger | None:
    shortfall = _measure_shortfall(context)
    margin = context.accuracy_rule.margin + context.inputs_worth
    if shortfall is None or shortfall.lower_bound <= margin:
        return None
    return Trigger(
        Cause.ACCURACY,
        "accuracy has fallen",
        f"accuracy has fallen by at least {100 * shortfall.lower_bound:.1f} percentage points, "
        f"{100 * margin:.1f} are allowed: {_describe(shortfall)}",
    )


def _find_coverage_shortfall(context: RetrainingContext) -> Trigger | None:
    test = _test_coverage(context)
    if test is None or test.p_value >= COVERAGE_SIGNIFICANCE:
        return None
    return Trigger(
        Cause.COVERAGE,
        "the coverage of the label sets has fallen",
        f"the coverage of the label sets has fallen below the promise (p = {test.p_value:.1g}): "
        f"{_describe_coverage(test)}",
    )


def _find_drift(context: RetrainingContext) -> Trigger | None:
    drifted, windows = count_drifted(context.verdicts, context.champion, RECENT_WINDOWS)
    if drifted < MIN_DRIFTED_WINDOWS:
        return None
    newest = context.verdicts[-1]
    return Trigger(
        Cause.DRIFT,
        "drift",
        f"{drifted} of the last {windows} windows drifted (the newest ended "
        f"{newest.window_end:%Y-%m-%d %H:%M} UTC)",
    )


def _measure_shortfall(context: RetrainingContext) -> Shortfall | None:
    """Measure the shortfall on the windows that have no data quality problem."""
    if context.holdout is None:
        return None
    return measure_shortfall(
        _select_valid(context), context.champion, context.holdout, context.accuracy_rule.min_rows
    )


def _test_coverage(context: RetrainingContext) -> CoverageTest | None:
    """Test the coverage on the windows that have no data quality problem."""
    if context.label_sets is None:
        return None
    return compare_coverage(
        _select_valid(context),
        context.champion,
        context.label_sets,
        context.accuracy_rule.min_rows,
    )


def _select_valid(context: RetrainingContext) -> list[WindowAccuracy]:
    bad = {each.window_end for each in context.verdicts if each.verdict is Verdict.DATA_QUALITY}
    return [each for each in context.accuracies if each.window_end not in bad]


def _describe(shortfall: Shortfall) -> str:
    return (
        f"{shortfall.measured:.1%} measured on {shortfall.rows:,} labelled rows, "
        f"{shortfall.holdout:.1%} on the hold-out of the release"
    )


def _describe_coverage(test: CoverageTest) -> str:
    return (
        f"{test.coverage:.1%} of the label sets of {test.rows:,} labelled rows have the true "
        f"class, {test.promise:.1%} are promised"
    )
