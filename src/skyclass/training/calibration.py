"""How well the predicted probabilities of a model match how often it is right."""

import numpy as np
import numpy.typing as npt

from skyclass.survey.observation import most_probable_classes

CALIBRATION_BINS = 15


def expected_calibration_error(
    labels: npt.NDArray[np.object_], probabilities: npt.NDArray[np.float64]
) -> float:
    """Expected calibration error of the highest probability, over 15 bins of equal width.

    This is what a manifest records as `calibration_error`. Monitoring records another quantity
    under that name: the bias of its accuracy estimate on the reference.

    Args:
        labels: True classes, shape (n,).
        probabilities: Shape (n, 3), in the order of `CLASSES`.

    Returns:
        Mean distance between confidence and accuracy, each bin weighted by its rows: 0 to 1.
        Source: Naeini, Cooper and Hauskrecht (2015), AAAI.
    """
    return sum(
        weight * abs(accuracy - confidence)
        for confidence, accuracy, weight in compute_reliability(labels, probabilities)
    )


def compute_reliability(
    labels: npt.NDArray[np.object_], probabilities: npt.NDArray[np.float64]
) -> list[tuple[float, float, float]]:
    """Compute mean confidence, accuracy and share of rows of each bin that has rows."""
    confidence = probabilities.max(axis=1)
    correct = most_probable_classes(probabilities) == labels
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        (float(confidence[chosen].mean()), float(correct[chosen].mean()), float(chosen.mean()))
        for chosen in (bins == number for number in range(CALIBRATION_BINS))
        if chosen.any()
    ]
