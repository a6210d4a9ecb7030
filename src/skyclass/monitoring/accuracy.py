"""Accuracy of a window, measured on its predictions with a label."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from skyclass.registry.documents import Document
from skyclass.survey.observation import CLASSES, KEY


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
