"""The drift rule, implemented once: pure functions over two frames.

Both an effect size and a significance are asked for. Without the first, large windows drift on
differences that no model feels; without the second, small ones drift by chance.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency, ks_2samp

from skyclass.monitoring import reasons
from skyclass.monitoring.verdict import Comparison, Policy, Verdict
from skyclass.monitoring.windows import MAX_ROWS, Accounting
from skyclass.survey.features import FEATURES, INPUTS, MAGNITUDES, Mode, make_features
from skyclass.survey.observation import CLASSES

KS_DISTANCE = 0.1
"""Kolmogorov-Smirnov distance; without drift its 95 % point is 0.07 at 300 rows, 0.04 at 1,000
(measured on real DR17 rows)."""

TOTAL_VARIATION = 0.07
"""Half the summed change of the predicted classes' shares. A change of ten rows in a hundred must
be seen, so the limit lies below it: in windows of 1,000 rows it is then seen in 99 of 100 cases,
with a limit of 0.1 in 7 of 10; neither limit raises a false alarm more (measured, real rows)."""

SIGNIFICANCE = 0.01
"""What the p-value of either test must stay below."""

MIN_ROWS = 500
"""Rows per side. Without drift the rule fires in 0.7 % of windows of this size and in none of
1,000 rows, but in 7 % of windows of 200 (measured; references of 4,000 to 20,000 rows)."""

MAX_UNFIT_SHARE = 0.05
"""Share of unfit rows above which a window says more about its callers than about the sky. The
survey leaves 1 magnitude in 100,000 unmeasured, so this is never its doing (our choice)."""

POLICY = Policy(
    ks_distance=KS_DISTANCE,
    total_variation=TOTAL_VARIATION,
    significance=SIGNIFICANCE,
    min_rows=MIN_ROWS,
    max_unfit_share=MAX_UNFIT_SHARE,
    max_rows=MAX_ROWS,
)
"""The above, as it goes into every verdict."""

DRIFT_COLUMNS: dict[Mode, tuple[str, ...]] = {
    mode: (*MAGNITUDES, *(name for name in FEATURES[mode] if name not in MAGNITUDES))
    for mode in Mode
}
"""The columns that are compared: magnitudes, colours and, where the mode has it, redshift. A
colour moves when one band does, long before the bands' own wide distributions show it."""

PREDICTED = "predicted"


@dataclass(frozen=True)
class Judgement:
    """What the rule says about a window.

    Attributes:
        verdict: In one word.
        reason: In words.
        columns: Comparison per drift column; empty when there was too little to compare.
        predictions: Comparison of the predicted classes.
    """

    verdict: Verdict
    reason: str
    columns: dict[str, Comparison] = field(default_factory=dict)
    predictions: Comparison | None = None


def drift_frame(rows: pd.DataFrame, mode: Mode) -> pd.DataFrame:
    """The columns of rows that are compared.

    Args:
        rows: Fit rows: the mode's inputs and `predicted`.
        mode: The mode of the release that predicted.

    Returns:
        `DRIFT_COLUMNS` of the mode, and `predicted`.
    """
    features = pd.DataFrame(
        make_features(rows[list(INPUTS[mode])], mode), columns=FEATURES[mode], index=rows.index
    )
    frame = features.assign(**{name: rows[name] for name in MAGNITUDES})
    numbers = frame[list(DRIFT_COLUMNS[mode])].astype("float64")
    return numbers.assign(**{PREDICTED: rows[PREDICTED].astype(object)})


def judge(reference: pd.DataFrame, window: pd.DataFrame, accounting: Accounting) -> Judgement:
    """Judge a window against its reference.

    Args:
        reference: The release's reference, as `drift_frame` makes it.
        window: The window's compared rows, likewise.
        accounting: What became of the window's other rows.
    """
    if min(len(reference), len(window)) >= MIN_ROWS:
        columns = compare(reference, window)
        predictions = columns.pop(PREDICTED)
    else:
        columns, predictions = {}, None
    distinct = accounting.rows_used + accounting.rejected
    # A share of a handful of rows says nothing, so it too needs the least number of them.
    if distinct >= MIN_ROWS and accounting.rejected > MAX_UNFIT_SHARE * distinct:
        verdict, reason = Verdict.DATA_QUALITY, reasons.data_quality(accounting)
    elif predictions is None:
        verdict = Verdict.INSUFFICIENT_DATA
        reason = reasons.insufficient_data(len(reference), accounting, MIN_ROWS)
    elif predictions.drifted or any(each.drifted for each in columns.values()):
        verdict, reason = Verdict.DRIFT, reasons.drift(columns, predictions)
    else:
        verdict, reason = Verdict.NO_DRIFT, reasons.no_drift(columns)
    return Judgement(verdict, reason, columns, predictions)


def compare(reference: pd.DataFrame, window: pd.DataFrame) -> dict[str, Comparison]:
    """Compare each column of two frames that `drift_frame` made, neither of them empty."""
    return {
        str(name): (
            compare_classes(reference[name], window[name])
            if name == PREDICTED
            else compare_numbers(reference[name], window[name])
        )
        for name in reference.columns
    }


def compare_numbers(reference: pd.Series, window: pd.Series) -> Comparison:
    """Compare two samples of numbers by their Kolmogorov-Smirnov distance."""
    # Left to itself, scipy changes from the exact p-value to this one at 10,000 rows.
    test = ks_2samp(reference, window, method="asymp")
    return _comparison("ks", float(test.statistic), float(test.pvalue), KS_DISTANCE)


def compare_classes(reference: pd.Series, window: pd.Series) -> Comparison:
    """Compare two samples of classes by their total variation distance."""
    counts = np.array([[(side == name).sum() for name in CLASSES] for side in (reference, window)])
    shares = counts / counts.sum(axis=1, keepdims=True)
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    occurring = counts[:, counts.any(axis=0)]  # a class on neither side has no expected count
    p_value = float(chi2_contingency(occurring).pvalue) if occurring.shape[1] > 1 else 1.0
    return _comparison("tvd", distance, p_value, TOTAL_VARIATION)


def class_shares(frame: pd.DataFrame) -> dict[str, float]:
    """Share of each predicted class: empty for no rows."""
    if frame.empty:
        return {}
    return {name: float((frame[PREDICTED] == name).mean()) for name in CLASSES}


def _comparison(method: str, score: float, p_value: float, threshold: float) -> Comparison:
    return Comparison(
        method=method,
        score=score,
        p_value=p_value,
        threshold=threshold,
        drifted=score >= threshold and p_value < SIGNIFICANCE,
    )
