"""Label sets: the classes that a row may have, at a promised coverage.

A label set contains the true class of at least the promised share of the rows of *each* class, if
the rows are exchangeable with the hold-out of the release. The method is split conformal prediction
conditional on class (Vovk, Gammerman and Shafer 2005; Sadinle, Lei and Wasserman 2019, JASA
114:223).
"""

from bisect import bisect_left
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt
from pydantic import Field

from skyclass.registry.documents import Document
from skyclass.registry.patterns import Mask, find_patterns
from skyclass.survey.features import InputGroup
from skyclass.survey.observation import CLASSES

COVERAGES = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
"""Coverages that thresholds are stored for. A request is answered with the next higher one."""

Thresholds = tuple[float, ...]
"""The smallest probability with which each class belongs to a label set, in the order of
`CLASSES`."""


class LabelSets(Document):
    """Thresholds of the probabilities, for each pattern and coverage.

    Attributes:
        coverages: Promised coverages, ascending.
        rows: Calibration rows of each class, in the order of `CLASSES`, by pattern.
        thresholds: Thresholds of each coverage, by pattern. A threshold is 0 where there are too
            few rows for the coverage: the class then belongs to every set.
    """

    coverages: tuple[float, ...] = COVERAGES
    rows: dict[str, tuple[int, ...]]
    thresholds: dict[str, tuple[Thresholds, ...]] = Field(min_length=1)

    def select(
        self,
        probabilities: npt.NDArray[np.floating],
        groups: Mapping[InputGroup, Mask],
        coverage: float,
        missing_bands: Mapping[str, Mask] | None = None,
    ) -> npt.NDArray[np.bool_]:
        """Return which classes belong to the label set of each row.

        The most probable class always does, so no set is empty. A row with a pattern that was not
        calibrated gets the lowest thresholds of all patterns.

        Args:
            probabilities: Shape (n, 3), in the order of `CLASSES`.
            groups: Rows that have each optional group, masks of shape (n,).
            coverage: Promised coverage, between 0 and 1. Beyond the highest stored coverage, a set
                has all classes.
            missing_bands: Rows that lack each band, masks of shape (n,).

        Returns:
            Shape (n, 3).
        """
        number = bisect_left(self.coverages, coverage)
        if number == len(self.coverages):
            return np.ones(probabilities.shape, dtype=bool)
        names, positions = find_patterns(len(probabilities), groups, missing_bands)
        found = [self._arrays.get(name, self._lowest)[number] for name in names]
        if not found:
            return np.ones(probabilities.shape, dtype=bool)
        selected = probabilities >= np.array(found)[positions]
        selected[np.arange(len(selected)), probabilities.argmax(axis=1)] = True
        return selected

    @cached_property
    def _arrays(self) -> dict[str, npt.NDArray[np.float64]]:
        return {name: np.array(values) for name, values in self.thresholds.items()}

    @cached_property
    def _lowest(self) -> npt.NDArray[np.float64]:
        """The most conservative thresholds, shape (coverages, 3)."""
        return np.minimum.reduce(list(self._arrays.values()))


def format_labels(selected: npt.NDArray[np.bool_]) -> list[str]:
    """Return each label set as text, its classes joined by a space.

    Args:
        selected: Result of `LabelSets.select`.

    Examples:
        >>> format_labels(np.array([[True, False, True], [False, True, False]]))
        ['GALAXY STAR', 'QSO']
    """
    texts = [
        " ".join(name for place, name in enumerate(CLASSES) if code >> place & 1)
        for code in range(2 ** len(CLASSES))
    ]
    return [texts[code] for code in selected @ (1 << np.arange(len(CLASSES)))]
