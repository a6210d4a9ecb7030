"""Accuracy of a window: measured with labels, and estimated without them.

Labels are authoritative. The estimate is available before they arrive and holds only under
`ASSUMPTION`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field
from sklearn.isotonic import IsotonicRegression

from skyclass.registry.documents import Document
from skyclass.survey.observation import CLASSES, KEY
from skyclass.tables.prediction_log import PROBABILITIES

ASSUMPTION = (
    "valid only while objects with the same measurements have the same class probabilities: it "
    "detects a changed mix of objects (fainter or rarer ones), but not a shifted measurement"
)
"""P(class | measurements) is unchanged. Measured: the estimate is within 0.01 of the accuracy when
the class shares change, and 0.2 too high after a redshift offset."""

MIN_REFERENCE_ROWS = 500
"""Minimum number of labelled reference rows to calibrate confidences on."""

_FOLDS = 5
_BINS = 10


class AccuracyEstimate(Document):
    """Estimate of a window's accuracy without labels.

    Attributes:
        accuracy: Mean calibrated confidence of the predictions.
        expected_error: Error of the estimate without drift: expected calibration error of the
            calibrated confidences, cross-validated on the reference. Stored as `calibration_error`;
            the field of that name in a release's evaluation is about uncalibrated probabilities.
    """

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    accuracy: float
    expected_error: float = Field(alias="calibration_error")


class MeasuredAccuracy(Document):
    """Accuracy of a window, or of several, on the predictions with a label.

    Attributes:
        rows: Predictions with a label.
        coverage: Share of all predictions that have a label.
        accuracy: Share of correct predictions.
        recalls: Recall of each class that occurs.
        confusion: Rows are true classes, columns predicted ones, both in the order of `CLASSES`.
    """

    rows: int
    coverage: float
    accuracy: float
    recalls: dict[str, float]
    confusion: tuple[tuple[int, ...], ...]


def join_labels(predictions: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions that have a label, with the label as `class`.

    Args:
        predictions: Rows of the prediction log; those without a key are dropped.
        labels: Columns `KEY` and `class`, unique keys; a null class is no label.
    """
    keyed = predictions.dropna(subset=list(KEY)).astype(dict.fromkeys(KEY, "int64"))
    known = labels.dropna(subset=["class"]).astype(dict.fromkeys(KEY, "int64"))
    return keyed.merge(known[[*KEY, "class"]], on=list(KEY), how="inner", validate="many_to_one")


def measure_accuracy(predictions: int, labelled: pd.DataFrame) -> MeasuredAccuracy | None:
    """Measure the accuracy of a window.

    Args:
        predictions: Number of predictions of the window.
        labelled: Predictions with a label, as returned by `join_labels`.

    Returns:
        None if no prediction has a label.
    """
    if labelled.empty:
        return None
    names = list(CLASSES)
    confusion = pd.crosstab(labelled["class"], labelled["predicted"])
    return _score(predictions, confusion.reindex(index=names, columns=names, fill_value=0).values)


def pool_accuracy(
    predictions: int, measured: Sequence[MeasuredAccuracy]
) -> MeasuredAccuracy | None:
    """Pool the accuracy of several windows, weighted by their labelled predictions.

    Args:
        predictions: Number of predictions of all windows.
        measured: Accuracy of the windows that have labels.

    Returns:
        None if no window has labels.
    """
    if not measured:
        return None
    return _score(predictions, np.sum([window.confusion for window in measured], axis=0))


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
    confidence = _get_confidence(reference)
    correct = (reference["predicted"] == reference["class"]).to_numpy(np.float64)
    calibration = _calibrate(confidence, correct)
    return AccuracyEstimate(
        accuracy=float(calibration.predict(_get_confidence(predictions)).mean()),
        expected_error=_cross_validate_calibration(confidence, correct),
    )


def _score(predictions: int, confusion: np.ndarray) -> MeasuredAccuracy:
    rows, correct = int(confusion.sum()), np.diag(confusion)
    return MeasuredAccuracy(
        rows=rows,
        coverage=rows / predictions,
        accuracy=float(correct.sum() / rows),
        recalls={
            name: float(correct[index] / confusion[index].sum())
            for index, name in enumerate(CLASSES)
            if confusion[index].any()
        },
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def _get_confidence(rows: pd.DataFrame) -> np.ndarray:
    return rows[list(PROBABILITIES)].to_numpy(np.float64).max(axis=1)


def _calibrate(confidence: np.ndarray, correct: np.ndarray) -> IsotonicRegression:
    return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(confidence, correct)


def _cross_validate_calibration(confidence: np.ndarray, correct: np.ndarray) -> float:
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
