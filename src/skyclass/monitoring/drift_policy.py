"""The drift policy, implemented once: thresholds, and the comparison of a window with a reference.

A column drifts only if both its effect size and its significance exceed a threshold. Significance
alone flags irrelevant differences in large windows; effect size alone flags chance in small ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency, ks_2samp

from skyclass.monitoring import reasons
from skyclass.monitoring.accounting import Accounting
from skyclass.monitoring.logged_features import compute_features
from skyclass.monitoring.verdict import Comparison, Policy, Verdict
from skyclass.monitoring.windows import MAX_ROWS
from skyclass.survey.dust import DustMap
from skyclass.survey.features import FEATURES, MAGNITUDES, Mode
from skyclass.survey.observation import CLASSES

POLICY = Policy(
    # Kolmogorov-Smirnov distance of a column. Without drift its 95th percentile is 0.07 at 300 rows
    # and 0.04 at 1,000 (measured on DR17 rows).
    ks_distance=0.1,
    # Total variation distance of the predicted classes. At 1,000 rows a change of ten rows in a
    # hundred is detected in 99 % of the windows, with 0.1 in 70 %; neither value raises a false
    # alarm more (measured on DR17 rows).
    total_variation=0.07,
    # Upper bound of the p-value of either test.
    significance=0.01,
    # Minimum number of valid rows per side. Without drift the policy raises a false alarm in 7 % of
    # the windows of 200 rows, in 0.7 % of those of 500, and in none of 1,000 (measured with
    # references of 4,000 to 20,000 rows).
    min_rows=500,
    # Share of invalid rows above which the data are at fault, not the survey. The survey leaves 1
    # magnitude in 100,000 unmeasured.
    max_unfit_share=0.05,
    max_rows=MAX_ROWS,
)
"""The thresholds. Every verdict records them."""

DRIFT_COLUMNS: dict[Mode, tuple[str, ...]] = {
    mode: (*MAGNITUDES, *(name for name in FEATURES[mode] if name not in MAGNITUDES))
    for mode in Mode
}
"""Compared columns: magnitudes, colours and, in spectroscopic mode, redshift. A shift of one band
is visible in its colours long before it is visible in the wide distribution of the band."""

PREDICTED = "predicted"
OUT_OF_DOMAIN = "out of domain"

MAX_OUT_OF_DOMAIN_CHANGE = 0.02
"""Change of the share of rows outside the domain at which it drifts. On the hold-out 0.006 are;
with magnitudes of the Vega system 0.03, with a band other than u shifted by a magnitude 0.2."""

_YES, _NO = "yes", "no"


@dataclass(frozen=True)
class PolicyResult:
    """Outcome of the drift policy for one window.

    Attributes:
        verdict: The outcome.
        reason: Explanation and recommended action.
        columns: Comparison of each drift column; empty if there were too few rows.
        predictions: Comparison of the predicted classes; None if there were too few rows.
    """

    verdict: Verdict
    reason: str
    columns: dict[str, Comparison] = field(default_factory=dict)
    predictions: Comparison | None = None


def make_drift_frame(
    rows: pd.DataFrame,
    mode: Mode,
    names: tuple[str, ...] = (),
    dust_map: DustMap | None = None,
) -> pd.DataFrame:
    """Return the compared columns.

    These are `DRIFT_COLUMNS` of the mode, the optional features of the release, whether a row is
    out of the domain (None if the release has no domain), and `predicted`. Values that were not
    measured are NaN. Whether they were is not compared: it depends on the client, not on the
    objects, the release predicts both, and a training run would not change it.

    Args:
        rows: Valid rows with the inputs of the mode and `predicted`.
        mode: The mode of the release that predicted.
        names: Features of the release; none for those that every release has.
        dust_map: Dust map of the release, if it has one.
    """
    names = names or FEATURES[mode]
    features = compute_features(rows, mode, names, dust_map)
    frame = pd.DataFrame(features, columns=list(names), index=rows.index)
    frame = frame.assign(**{name: rows[name] for name in MAGNITUDES})
    optional = [name for name in names if name not in DRIFT_COLUMNS[mode]]
    numbers = frame[[*DRIFT_COLUMNS[mode], *optional]].astype("float64")
    if "out_of_domain" in rows and rows["out_of_domain"].notna().any():
        outside = rows["out_of_domain"].map({True: _YES, False: _NO}).to_numpy(object)
        numbers = numbers.assign(**{OUT_OF_DOMAIN: outside})
    return numbers.assign(**{PREDICTED: rows[PREDICTED].astype(object)})


def evaluate_window(
    reference: pd.DataFrame, window: pd.DataFrame, accounting: Accounting
) -> PolicyResult:
    """Apply the drift policy to a window.

    Args:
        reference: Drift frame of the reference of the release.
        window: Drift frame of the valid rows of the window.
        accounting: Counts of all rows of the window.
    """
    min_rows = POLICY.min_rows
    if min(len(reference), len(window)) >= min_rows:
        columns = compare(reference, window)
        predictions = columns.pop(PREDICTED)
    else:
        columns, predictions = {}, None
    rows = accounting.distinct_rows
    # The share of invalid rows is meaningful only with enough rows, too.
    if rows >= min_rows and accounting.rejected > POLICY.max_unfit_share * rows:
        verdict, reason = Verdict.DATA_QUALITY, reasons.explain_data_quality(accounting)
    elif predictions is None:
        verdict = Verdict.INSUFFICIENT_DATA
        reason = reasons.explain_insufficient_data(len(reference), accounting, min_rows)
    elif predictions.drifted or any(comparison.drifted for comparison in columns.values()):
        verdict, reason = Verdict.DRIFT, reasons.explain_drift(columns, predictions)
    else:
        verdict, reason = Verdict.NO_DRIFT, reasons.explain_no_drift(columns)
    return PolicyResult(verdict, reason, columns, predictions)


def compare(reference: pd.DataFrame, window: pd.DataFrame) -> dict[str, Comparison]:
    """Compare each column of two drift frames; neither may be empty.

    A column that fewer than `min_rows` rows of a side have is left out.
    """
    comparisons = {}
    for name in map(str, reference.columns):
        if name not in window:
            continue
        sides = reference[name].dropna(), window[name].dropna()
        if name == PREDICTED or min(map(len, sides)) >= POLICY.min_rows:
            comparisons[name] = compare_column(name, *sides)
    return comparisons


def compare_column(name: str, reference: pd.Series, window: pd.Series) -> Comparison:
    """Compare two samples of a column of a drift frame."""
    if reference.dtype != object:
        return compare_numbers(reference, window)
    if name == OUT_OF_DOMAIN:
        return compare_classes(reference, window, (_YES, _NO), MAX_OUT_OF_DOMAIN_CHANGE)
    return compare_classes(reference, window)


def compare_numbers(reference: pd.Series, window: pd.Series) -> Comparison:
    """Compare two samples of numbers by their Kolmogorov-Smirnov distance."""
    # The default method switches from exact to asymptotic p-values at 10,000 rows.
    test = ks_2samp(reference, window, method="asymp")
    return _make_comparison("ks", float(test.statistic), float(test.pvalue), POLICY.ks_distance)


def compare_classes(
    reference: pd.Series,
    window: pd.Series,
    names: Sequence[str] = CLASSES,
    threshold: float = POLICY.total_variation,
) -> Comparison:
    """Compare two samples of classes by their total variation distance."""
    counts = np.array([[(side == name).sum() for name in names] for side in (reference, window)])
    shares = counts / counts.sum(axis=1, keepdims=True)
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    observed = counts[:, counts.any(axis=0)]  # chi-squared needs a non-zero expected count
    p_value = float(chi2_contingency(observed).pvalue) if observed.shape[1] > 1 else 1.0
    return _make_comparison("tvd", distance, p_value, threshold)


def compute_out_of_domain_share(frame: pd.DataFrame) -> float | None:
    """Return the share of rows that are out of the domain; None if it is not known."""
    if OUT_OF_DOMAIN not in frame:
        return None
    known = frame[OUT_OF_DOMAIN].dropna()
    return float((known == _YES).mean()) if len(known) else None


def compute_class_shares(frame: pd.DataFrame) -> dict[str, float]:
    """Return the share of each predicted class; empty for a frame without rows."""
    if frame.empty:
        return {}
    return {name: float((frame[PREDICTED] == name).mean()) for name in CLASSES}


def _make_comparison(method: str, score: float, p_value: float, threshold: float) -> Comparison:
    return Comparison(
        method=method,
        score=score,
        p_value=p_value,
        threshold=threshold,
        drifted=score >= threshold and p_value < POLICY.significance,
    )
