"""How often a window's answers were right: measured by the labels that arrived, and estimated.

Pure functions over frames. Labels are what counts; the estimate says something before they come,
under an assumption that it states.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.isotonic import IsotonicRegression

from skyclass.registry.manifest import Document
from skyclass.survey.observation import CLASSES, KEY
from skyclass.tables.prediction_log import PROBABILITIES

ASSUMPTION = (
    "valid only while objects that look alike still are alike: it sees that fainter or rarer "
    "objects are asked about, but not that a measurement has shifted"
)
"""What the estimate rests on (P(class | measurements) is unchanged). Measured: within 0.01 of the
truth when the shares of the classes change, 0.2 too high after an offset of the redshift."""

MIN_REFERENCE_ROWS = 500
"""Labelled rows of the reference that the confidences are calibrated on."""

_FOLDS = 5
_BINS = 10


class Estimate(Document):
    """What the confidences say about a window's accuracy.

    Attributes:
        accuracy: Mean calibrated confidence of the window's answers.
        calibration_error: Mean distance between calibrated confidence and accuracy on reference
            rows that the calibration has not seen: what the estimate is off by without any drift.
    """

    accuracy: float
    calibration_error: float


class Measured(Document):
    """What the labels say about a window's accuracy.

    Attributes:
        rows: Answers whose label has arrived.
        coverage: Their share of the window's answers.
        accuracy: Share of them that were right.
        recalls: Share of each class that was recognised; only classes that occur.
        confusion: Rows are true classes, columns predicted ones, both in the order of `CLASSES`.
    """

    rows: int
    coverage: float
    accuracy: float
    recalls: dict[str, float]
    confusion: tuple[tuple[int, ...], ...]


def join_labels(answers: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """The answers whose label has arrived, with it as `class`.

    Args:
        answers: Rows of the prediction log; those without a key are never labelled.
        labels: Columns `KEY` and `class`, each key once; a null class is no label.
    """
    keyed = answers.dropna(subset=list(KEY)).astype(dict.fromkeys(KEY, "int64"))
    known = labels.dropna(subset=["class"]).astype(dict.fromkeys(KEY, "int64"))
    return keyed.merge(known[[*KEY, "class"]], on=list(KEY), how="inner", validate="many_to_one")


def measure(answers: int, labelled: pd.DataFrame) -> Measured | None:
    """Measure a window by its labelled answers.

    Args:
        answers: How many answers there were.
        labelled: Those with a label, as `join_labels` makes them.

    Returns:
        None when no label has arrived.
    """
    if labelled.empty:
        return None
    return Measured.model_validate(
        {
            "coverage": len(labelled) / answers,
            **_scores(_confusion(labelled["class"], labelled["predicted"])),
        }
    )


def pool(answers: int, found: Sequence[Measured]) -> Measured | None:
    """What the labels say about several windows together.

    Args:
        answers: How many answers there were in all windows.
        found: What was measured in those that have labels.

    Returns:
        None when none of them has a label.
    """
    if not found:
        return None
    confusion = np.sum([each.confusion for each in found], axis=0)
    return Measured.model_validate({"coverage": confusion.sum() / answers, **_scores(confusion)})


def estimate(reference: pd.DataFrame, answers: pd.DataFrame) -> Estimate | None:
    """Estimate a window's accuracy from how sure its answers were.

    Confidences are calibrated on the reference by isotonic regression, so that 0.8 means "right in
    8 of 10 cases", and averaged.

    Args:
        reference: The release's own answers on its hold-out, with the labels.
        answers: The window's answers.

    Returns:
        None when there is too little to calibrate on, or there are no answers.
    """
    if len(reference) < MIN_REFERENCE_ROWS or answers.empty:
        return None
    confidence = _confidence(reference)
    right = (reference["predicted"] == reference["class"]).to_numpy(np.float64)
    calibration = _calibrate(confidence, right)
    return Estimate(
        accuracy=float(calibration.predict(_confidence(answers)).mean()),
        calibration_error=_calibration_error(confidence, right),
    )


def _scores(confusion: np.ndarray) -> dict[str, object]:
    rows, right = confusion.sum(), np.diag(confusion)
    return {
        "rows": int(rows),
        "accuracy": float(right.sum() / rows),
        "recalls": {
            name: float(right[at] / confusion[at].sum())
            for at, name in enumerate(CLASSES)
            if confusion[at].any()
        },
        "confusion": tuple(tuple(int(count) for count in row) for row in confusion),
    }


def _confusion(true: pd.Series, predicted: pd.Series) -> np.ndarray:
    names = list(CLASSES)
    table = pd.crosstab(true, predicted).reindex(index=names, columns=names, fill_value=0)
    return table.to_numpy()


def _confidence(rows: pd.DataFrame) -> np.ndarray:
    return rows[list(PROBABILITIES)].to_numpy(np.float64).max(axis=1)


def _calibrate(confidence: np.ndarray, right: np.ndarray) -> IsotonicRegression:
    return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(confidence, right)


def _calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error, each fold calibrated by the others, over bins of equal size."""
    fold = np.arange(len(right)) % _FOLDS
    calibrated = np.empty(len(right))
    for number in range(_FOLDS):
        held_out = fold == number
        model = _calibrate(confidence[~held_out], right[~held_out])
        calibrated[held_out] = model.predict(confidence[held_out])
    bins = np.array_split(np.argsort(calibrated, kind="stable"), _BINS)
    return float(
        sum(len(rows) * abs(calibrated[rows].mean() - right[rows].mean()) for rows in bins)
        / len(right)
    )
