"""Measured quality on rows that a model has not seen."""

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
)

from skyclass.registry.manifest import ClassScores, Evaluation
from skyclass.survey.features import Mode
from skyclass.survey.observation import CLASSES

CALIBRATION_BINS = 15


def evaluate(
    labels: npt.NDArray[np.object_],
    probabilities: npt.NDArray[np.float64],
    mode: Mode,
    split: str,
) -> Evaluation:
    """Judge predicted probabilities by the true classes.

    Args:
        labels: True classes, shape (n,).
        probabilities: Shape (n, 3), in the order of `CLASSES`.
        mode: The mode of the model.
        split: Names the rows.
    """
    names = list(CLASSES)
    predicted = predicted_classes(probabilities)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=names, zero_division=0
    )
    return Evaluation(
        mode=mode,
        split=split,
        rows=len(labels),
        accuracy=accuracy_score(labels, predicted),
        macro_f1=float(np.mean(f1)),
        log_loss=log_loss(labels, probabilities, labels=names),
        calibration_error=calibration_error(labels, probabilities),
        classes={
            name: ClassScores(precision=p, recall=r, f1=f, support=n)
            for name, p, r, f, n in zip(names, precision, recall, f1, support, strict=True)
        },
        confusion=tuple(
            tuple(int(count) for count in row)
            for row in confusion_matrix(labels, predicted, labels=names)
        ),
    )


def predicted_classes(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.object_]:
    """The most probable class of each row, shape (n,)."""
    return np.array(CLASSES, dtype=object)[probabilities.argmax(axis=1)]


def calibration_error(
    labels: npt.NDArray[np.object_], probabilities: npt.NDArray[np.float64]
) -> float:
    """Expected calibration error of the highest probability, over 15 equal bins.

    Source: Naeini, Cooper and Hauskrecht (2015), AAAI.
    """
    return sum(
        weight * abs(accuracy - confidence)
        for confidence, accuracy, weight in reliability(labels, probabilities)
    )


def reliability(
    labels: npt.NDArray[np.object_], probabilities: npt.NDArray[np.float64]
) -> list[tuple[float, float, float]]:
    """Mean confidence, accuracy and share of rows of each bin of confidence that has rows."""
    confidence = probabilities.max(axis=1)
    right = predicted_classes(probabilities) == labels
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        (float(confidence[chosen].mean()), float(right[chosen].mean()), float(chosen.mean()))
        for chosen in (bins == number for number in range(CALIBRATION_BINS))
        if chosen.any()
    ]
