"""How often the interval of the estimate contained the accuracy that labels showed later."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import binomtest, norm

from skyclass.monitoring.accuracy import MeasuredAccuracy
from skyclass.monitoring.accuracy_job import WindowAccuracy
from skyclass.monitoring.estimate import INTERVAL_LEVEL, AccuracyEstimate
from skyclass.monitoring.evidence import select_disjoint

MIN_LABELLED_ROWS = 100
"""Minimum number of labelled rows of a window that is scored."""

_SIGNIFICANCE = 0.01


@dataclass(frozen=True)
class IntervalScore:
    """Score of the intervals of several windows.

    Attributes:
        windows: Windows with an interval and enough labels.
        inside: Windows whose measured accuracy is inside the interval.
    """

    windows: int
    inside: int

    @property
    def coverage(self) -> float | None:
        """Share of the windows inside, to be compared with `INTERVAL_LEVEL`; None without any."""
        return self.inside / self.windows if self.windows else None

    @property
    def is_poor(self) -> bool:
        """Whether more windows are outside than chance explains."""
        if not self.windows:
            return False
        outside = self.windows - self.inside
        test = binomtest(outside, self.windows, 1 - INTERVAL_LEVEL, alternative="greater")
        return bool(test.pvalue < _SIGNIFICANCE)


def score_intervals(accuracies: Sequence[WindowAccuracy]) -> IntervalScore:
    """Compare the intervals of windows with their labels; overlapping windows count once.

    Args:
        accuracies: Accuracy of windows, oldest first.
    """
    found = [inside for inside in map(is_inside, select_disjoint(accuracies)) if inside is not None]
    return IntervalScore(windows=len(found), inside=sum(found))


def is_inside(window: WindowAccuracy) -> bool | None:
    """Return whether the measured accuracy of a window is inside the interval of its estimate.

    The interval is about all predictions of the window. If only some have a label, the sampling
    error of their accuracy is added to it.

    Returns:
        None without an interval, or with too few labels.
    """
    estimate, measured = window.estimate, window.measured
    if estimate is None or measured is None or measured.rows < MIN_LABELLED_ROWS:
        return None
    if estimate.lower is None or estimate.upper is None:
        return None
    error = measured.accuracy - estimate.accuracy
    bound = estimate.upper - estimate.accuracy if error > 0 else estimate.accuracy - estimate.lower
    return abs(error) <= math.hypot(bound, _sampling_error(estimate, measured, window.answers))


def _sampling_error(estimate: AccuracyEstimate, measured: MeasuredAccuracy, rows: int) -> float:
    """Return the half-width due to the predictions without a label."""
    variance = estimate.accuracy * (1 - estimate.accuracy) * (1 / measured.rows - 1 / rows)
    return float(norm.ppf((1 + INTERVAL_LEVEL) / 2)) * math.sqrt(max(0.0, variance))
