"""Accuracy of a window, estimated without labels from the confidences of its predictions.

The estimate is available before labels arrive and holds only under `ASSUMPTION`.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import ConfigDict, Field
from scipy.optimize import isotonic_regression  # for few rows ten times as fast as scikit-learn
from sklearn.isotonic import IsotonicRegression

from skyclass.registry.documents import Document
from skyclass.tables.log.schema import PROBABILITIES

ASSUMPTION = (
    "valid only while objects with the same measurements have the same class probabilities: it "
    "detects a changed mix of objects (fainter or rarer ones), but not a shifted measurement"
)
"""P(class | measurements) is unchanged. Measured: the estimate is within 0.01 of the accuracy when
the class shares change, and 0.2 too high after a redshift offset."""

MIN_REFERENCE_ROWS = 500
"""Minimum number of labelled reference rows to calibrate confidences on."""

INTERVAL_LEVEL = 0.95
"""Probability with which the interval contains the accuracy of the window, under `ASSUMPTION`."""

_FOLDS = 5
_BINS = 10
_REPLICATES = 200
_DRAWS = 25
"""Draws of the window's accuracy in each replicate."""
_SEED = 0
"""Fixed, so that a window always gets the same interval."""

Array = npt.NDArray[np.float64]


class AccuracyEstimate(Document):
    """Estimate of a window's accuracy without labels.

    Attributes:
        accuracy: Mean calibrated confidence of the predictions.
        expected_error: Error of the estimate without drift: expected calibration error of the
            calibrated confidences, cross-validated on the reference. Stored as `calibration_error`;
            the field of that name in a release's evaluation is about uncalibrated probabilities.
        lower: Lower end of the interval of level `INTERVAL_LEVEL`. None in documents of 0.1.0.
        upper: Upper end.
    """

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    accuracy: float
    expected_error: float = Field(alias="calibration_error")
    lower: float | None = None
    upper: float | None = None


def estimate_accuracy(
    reference: pd.DataFrame, predictions: pd.DataFrame
) -> AccuracyEstimate | None:
    """Estimate the accuracy of a window from the confidences of its predictions.

    Confidences (the highest class probability) are calibrated on the reference by isotonic
    regression, so that a confidence of 0.8 means 80 % correct, and averaged.

    Args:
        reference: Predictions of the release on its hold-out set, with labels as `class`.
        predictions: Predictions of the window.

    Returns:
        None without predictions, or with fewer than `MIN_REFERENCE_ROWS` reference rows.
    """
    if len(reference) < MIN_REFERENCE_ROWS or predictions.empty:
        return None
    confidence, window = _get_confidence(reference), _get_confidence(predictions)
    correct = (reference["predicted"] == reference["class"]).to_numpy().astype(np.float64)
    accuracy = float(_calibrate(confidence, correct).predict(window).mean())
    lower, upper = _compute_interval(confidence, correct, window)
    return AccuracyEstimate(
        accuracy=accuracy,
        expected_error=_cross_validate_calibration(confidence, correct),
        lower=min(lower, accuracy),
        upper=max(upper, accuracy),
    )


def _get_confidence(rows: pd.DataFrame) -> Array:
    return rows[list(PROBABILITIES)].to_numpy(np.float64).max(axis=1)


def _calibrate(confidence: Array, correct: Array) -> IsotonicRegression:
    return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(confidence, correct)


def _cross_validate_calibration(confidence: Array, correct: Array) -> float:
    """Return the expected calibration error, out of fold, over bins of equal size."""
    fold = np.arange(len(correct)) % _FOLDS
    calibrated = np.empty(len(correct))
    for number in range(_FOLDS):
        held_out = fold == number
        model = _calibrate(confidence[~held_out], correct[~held_out])
        calibrated[held_out] = model.predict(confidence[held_out])
    bins = np.array_split(np.argsort(calibrated, kind="stable"), _BINS)
    return float(
        sum(len(rows) * abs(calibrated[rows].mean() - correct[rows].mean()) for rows in bins)
        / len(correct)
    )


def _compute_interval(confidence: Array, correct: Array, window: Array) -> tuple[float, float]:
    """Return the interval that contains the accuracy of the window.

    It has two sources of uncertainty. The calibration is fitted on a finite reference: a Bayesian
    bootstrap (Rubin 1981) fits it to rows with random weights. The window has a finite number of
    rows, each correct with its calibrated probability: their share is drawn with that variance.
    """
    rng = np.random.default_rng(_SEED)
    knots, position = np.unique(confidence, return_inverse=True)
    weights = _interpolate_mean(knots, window)
    means, variances = np.empty(_REPLICATES), np.empty(_REPLICATES)
    for replicate in range(_REPLICATES):
        mass = rng.standard_exponential(len(correct))
        rows = np.bincount(position, mass)
        hits = np.bincount(position, mass * correct)
        # One more row, which is wrong: a reference without errors does not prove that there are
        # none, and without this row its interval would have no width.
        rows[position[rng.integers(len(position))]] += rng.standard_exponential()
        calibrated = isotonic_regression(hits / rows, weights=rows).x
        means[replicate] = weights @ calibrated
        variances[replicate] = weights @ (calibrated * (1 - calibrated)) / len(window)
    noise = rng.standard_normal((_DRAWS, _REPLICATES)) * np.sqrt(variances)
    tail = (1 - INTERVAL_LEVEL) / 2
    lower, upper = np.quantile(means + noise, [tail, 1 - tail])
    return max(0.0, float(lower)), min(1.0, float(upper))


def _interpolate_mean(knots: Array, values: Array) -> Array:
    """Return weights w such that w @ f is the mean of `np.interp(values, knots, f)` for every f."""
    if len(knots) == 1:
        return np.ones(1)
    right = np.searchsorted(knots, values).clip(1, len(knots) - 1)
    left = right - 1
    share = ((values - knots[left]) / (knots[right] - knots[left])).clip(0, 1)
    total = np.bincount(left, 1 - share, len(knots)) + np.bincount(right, share, len(knots))
    return np.asarray(total / len(values))
