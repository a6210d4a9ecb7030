"""Predictions for the hold-out with some inputs masked: the rows that promises are calibrated on.

Rows of users have fewer optional groups than those of the hold-out. Each pattern of groups is
calibrated on the rows that have at least these groups, predicted from these alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from skyclass.registry.models import Engine
from skyclass.registry.patterns import name_pattern
from skyclass.survey.features import GROUP_FEATURES, InputGroup, find_groups

Features = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CalibrationRows:
    """Predictions for the rows of the hold-out that have the inputs of a pattern.

    Attributes:
        labels: Index of the true class in `CLASSES`, shape (n,).
        probabilities: Predictions without the inputs outside the pattern, shape (n, 3).
    """

    labels: npt.NDArray[np.intp]
    probabilities: npt.NDArray[np.float64]

    def select(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> "CalibrationRows":
        """Return some of the rows."""
        return CalibrationRows(self.labels[rows], self.probabilities[rows])


Patterns = Mapping[str, Sequence[CalibrationRows]]
"""Rows of each pattern, by its name.

A pattern with a missing band has rows for every combination of groups, each of which must keep the
promise.
"""


def predict_patterns(
    features: Features,
    names: Sequence[str],
    labels: npt.NDArray[np.intp],
    engine: Engine,
    missing_bands: Sequence[str] = (),
) -> Patterns:
    """Predict the hold-out for every combination of the groups that the release uses.

    Args:
        features: Features of the hold-out, shape (n, len(names)).
        names: Features of the release.
        labels: Index of the true class in `CLASSES`, shape (n,).
        engine: The fitted model.
        missing_bands: Bands without which the release predicts.
    """
    combined = list(_mask_groups(features, names))
    found = {
        name_pattern(groups): [CalibrationRows(labels[rows], engine(masked))]
        for groups, rows, masked in combined
    }
    for band in missing_bands:
        found[name_pattern([], [band])] = [
            CalibrationRows(labels[rows], engine(mask_band(masked, names, band)))
            for _, rows, masked in combined
        ]
    return found


def mask_band(features: Features, names: Sequence[str], band: str) -> Features:
    """Return a copy in which every feature that is computed from a band, or its error, is NaN."""
    return _mask(features, [band in name.split("-") or name == f"err_{band}" for name in names])


def _mask_groups(
    features: Features, names: Sequence[str]
) -> Iterator[tuple[tuple[InputGroup, ...], npt.NDArray[np.bool_], Features]]:
    """Yield each combination of groups that occurs, its rows, and their features without others."""
    present = find_groups(features, names)
    for size in range(len(present) + 1):
        for groups in combinations(present, size):
            rows = np.logical_and.reduce(
                [np.ones(len(features), dtype=bool), *(present[group] for group in groups)]
            )
            others = {
                name for group in present if group not in groups for name in GROUP_FEATURES[group]
            }
            if rows.any():
                yield groups, rows, _mask(features[rows], [name in others for name in names])


def _mask(features: Features, columns: Sequence[bool]) -> Features:
    return np.where(np.array(columns), np.float32(np.nan), features)
