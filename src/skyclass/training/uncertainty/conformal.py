"""Thresholds of the label sets: split conformal prediction, conditional on class."""

import numpy as np
import numpy.typing as npt

from skyclass.registry.label_sets import COVERAGES, LabelSets
from skyclass.registry.manifest import MAX_FORMAT_DIFFERENCE
from skyclass.survey.observation import CLASSES
from skyclass.training.uncertainty.calibration_rows import CalibrationRows, Patterns


def calibrate_label_sets(patterns: Patterns) -> LabelSets:
    """Compute the thresholds of each pattern.

    Args:
        patterns: Rows that the model was not fitted on.
    """
    return LabelSets(
        rows={
            name: tuple(int((parts[0].labels == each).sum()) for each in range(len(CLASSES)))
            for name, parts in patterns.items()
        },
        thresholds={
            name: _to_tuples(np.minimum.reduce([_compute_thresholds(part) for part in parts]))
            for name, parts in patterns.items()
        },
    )


def _compute_thresholds(rows: CalibrationRows) -> npt.NDArray[np.float64]:
    """Compute the threshold of each coverage and class, shape (len(COVERAGES), 3).

    Of n rows of a class, ceil((n + 1) * coverage) must have their class in the label set, so that
    one more row has it with that probability. Where this is more than n, all sets have the class.
    """
    thresholds = np.zeros((len(COVERAGES), len(CLASSES)))
    for place in range(len(CLASSES)):
        scores = np.sort(rows.probabilities[rows.labels == place, place])
        for number, coverage in enumerate(COVERAGES):
            outside = int(np.floor((len(scores) + 1) * (1 - coverage) + 1e-9))
            if outside:
                thresholds[number, place] = scores[outside - 1]
    # The formats of a model differ by up to that, and trees give many rows the same probability.
    return np.maximum(thresholds - MAX_FORMAT_DIFFERENCE, 0)


def _to_tuples(values: npt.NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    rounded = np.floor(values * 1e5) / 1e5  # lower is more conservative
    return tuple(tuple(row) for row in rounded.tolist())
