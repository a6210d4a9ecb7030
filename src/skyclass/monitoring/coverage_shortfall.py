"""Whether label sets still keep their promise.

The thresholds come from a finite hold-out, so even with exchangeable rows the achieved coverage is
not exactly the promise. The distribution of the number of covered rows is known: beta-binomial
(Vovk 2012, ACML). A deficit that this distribution explains starts no run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import betabinom

from skyclass.monitoring.accuracy_job import WindowAccuracy
from skyclass.monitoring.coverage import LabelSetCoverage, pool_coverage
from skyclass.monitoring.shortfall import choose_newest
from skyclass.registry.label_sets import LabelSets
from skyclass.survey.observation import CLASSES

COVERAGE_SIGNIFICANCE = 1e-4
"""Largest p-value at which a run is started. It is small because there is a test after every
window."""


@dataclass(frozen=True)
class CoverageTest:
    """Achieved coverage of a release compared with the promise.

    Attributes:
        coverage: Coverage achieved on the labelled rows of its newest windows.
        rows: Number of these rows.
        promise: The promised coverage.
        p_value: Probability of such a coverage or a lower one, if the rows are exchangeable with
            the hold-out.
    """

    coverage: float
    rows: int
    promise: float
    p_value: float


def compare_coverage(
    accuracies: Sequence[WindowAccuracy], release: str, label_sets: LabelSets, min_rows: int
) -> CoverageTest | None:
    """Compare the newest labelled windows of a release with the promise of its label sets.

    Args:
        accuracies: Accuracy of windows, oldest first.
        release: Id of the release.
        label_sets: Its label sets.
        min_rows: Minimum number of labelled rows.

    Returns:
        None if the windows have fewer labelled rows together.
    """
    measured = [each for each in accuracies if each.label_sets]
    chosen = choose_newest(measured, release, min_rows)[::-1]
    pooled = pool_coverage([each.label_sets for each in chosen if each.label_sets])
    if pooled is None or pooled.rows < min_rows:
        return None
    return CoverageTest(
        pooled.share, pooled.rows, pooled.promise, _compute_p_value(pooled, label_sets)
    )


def _compute_p_value(measured: LabelSetCoverage, label_sets: LabelSets) -> float:
    """Compute the p-value for as many calibration rows as are as informative as those per class.

    The variances of the classes' coverages are inverse to their calibration rows, and add up by the
    squares of their shares.
    """
    calibration = max(label_sets.rows.values(), key=sum)
    shares = [
        (measured.classes[name].rows / measured.rows, rows)
        for name, rows in zip(CLASSES, calibration, strict=True)
        if name in measured.classes
    ]
    effective = round(1 / sum(share**2 / max(1, rows) for share, rows in shares))
    outside = max(1, int((effective + 1) * (1 - measured.promise) + 1e-9))
    distribution = betabinom(measured.rows, max(1, effective + 1 - outside), outside)
    return float(distribution.cdf(measured.covered))
