"""How far the measured accuracy of a release has fallen below its own hold-out.

Both accuracies are shares of a finite number of rows, so their difference is known only within a
confidence bound. The policy acts on the bound: a fall that chance explains starts no run.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from skyclass.monitoring.accuracy import MeasuredAccuracy, pool_accuracy
from skyclass.monitoring.accuracy_job import WindowAccuracy
from skyclass.monitoring.evidence import select_disjoint
from skyclass.registry.manifest import Evaluation

CONFIDENCE = 0.99
"""One-sided confidence of the bound."""


@dataclass(frozen=True)
class Shortfall:
    """Measured accuracy of a release compared with its random hold-out.

    Attributes:
        measured: Accuracy on the labelled rows of its newest windows.
        rows: Number of these rows.
        holdout: Accuracy on the hold-out.
        lower_bound: Lower confidence bound of `holdout - measured`; negative if the measured
            accuracy may be the higher one.
    """

    measured: float
    rows: int
    holdout: float
    lower_bound: float


def measure_shortfall(
    accuracies: Sequence[WindowAccuracy], release: str, holdout: Evaluation, min_rows: int
) -> Shortfall | None:
    """Compare the newest labelled windows of a release with its hold-out.

    The windows do not overlap. There are only as many of them as are required for `min_rows`, so
    that a sudden fall is not averaged with better days.

    Args:
        accuracies: Accuracy of windows, oldest first.
        release: Id of the release.
        holdout: Metrics of the release on its random hold-out.
        min_rows: Minimum number of labelled rows.

    Returns:
        None if the windows have fewer labelled rows together.
    """
    measured = _pool_newest(accuracies, release, min_rows)
    if measured is None:
        return None
    return Shortfall(
        measured=measured.accuracy,
        rows=measured.rows,
        holdout=holdout.accuracy,
        lower_bound=_bound_difference(holdout.confusion, measured.confusion),
    )


def _pool_newest(
    accuracies: Sequence[WindowAccuracy], release: str, min_rows: int
) -> MeasuredAccuracy | None:
    chosen = choose_newest(accuracies, release, min_rows)
    return pool_accuracy(
        sum(window.answers for window in chosen),
        [window.measured for window in chosen if window.measured],
    )


def choose_newest(
    accuracies: Sequence[WindowAccuracy], release: str, min_rows: int
) -> list[WindowAccuracy]:
    """Return the newest labelled windows of a release that do not overlap, newest first.

    There are as few of them as have `min_rows` labelled rows together; none if all have fewer.

    Args:
        accuracies: Accuracy of windows, oldest first.
        release: Id of the release.
        min_rows: Minimum number of labelled rows.
    """
    labelled = [window for window in accuracies if window.release == release and window.measured]
    rows, chosen = 0, []
    for window in reversed(select_disjoint(labelled)):
        chosen.append(window)
        rows += window.measured.rows if window.measured else 0
        if rows >= min_rows:
            return chosen
    return []


def _bound_difference(holdout: Sequence[Sequence[int]], measured: Sequence[Sequence[int]]) -> float:
    """Return the lower confidence bound of the difference of the accuracies.

    Newcombe's hybrid score interval for two independent proportions (1998, method 10), one-sided.
    """
    first, second = _count(holdout), _count(measured)
    lowest = binomtest(*first, alternative="greater").proportion_ci(CONFIDENCE, "wilson").low
    highest = binomtest(*second, alternative="less").proportion_ci(CONFIDENCE, "wilson").high
    share, other = first[0] / first[1], second[0] / second[1]
    return float(share - other - math.hypot(share - lowest, highest - other))


def _count(confusion: Sequence[Sequence[int]]) -> tuple[int, int]:
    """Return the numbers of correct and of all rows of a confusion matrix."""
    return int(np.trace(np.array(confusion))), int(np.sum(confusion))
