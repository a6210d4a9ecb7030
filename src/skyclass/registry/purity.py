"""Purity cuts: how probable a predicted class must be, for a sample of a promised purity.

The purity of a sample is the share of its rows that are of the predicted class. It depends on the
class shares of the objects, so the promise holds for objects that are selected as those of the
hold-out.
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

PURITIES = (0.8, 0.9, 0.95, 0.98, 0.99)
"""Purities that cuts are stored for. A request is answered with the next higher one."""

PerClass = tuple[float | None, ...]
"""One value for each class, in the order of `CLASSES`; None where the purity is not reached."""


class PurityCuts(Document):
    """Cuts of the highest probability, for each pattern and purity.

    Attributes:
        purities: Promised purities, ascending.
        cuts: The smallest probability of each predicted class, for each purity, by pattern. A
            class's cuts do not fall with the purity.
        completeness: Share of the hold-out's rows of each class that reach its cut and are
            predicted as the class, for each purity, by pattern.
    """

    purities: tuple[float, ...] = PURITIES
    cuts: dict[str, tuple[PerClass, ...]] = Field(min_length=1)
    completeness: dict[str, tuple[PerClass, ...]]

    def find_certain(
        self,
        probabilities: npt.NDArray[np.floating],
        purity: float,
        groups: Mapping[InputGroup, Mask] | None = None,
        missing_bands: Mapping[str, Mask] | None = None,
    ) -> npt.NDArray[np.bool_]:
        """Return the rows whose predicted class reaches the cut of a purity.

        A row with a pattern that was not calibrated gets the highest cuts of all patterns.

        Args:
            probabilities: Shape (n, 3), in the order of `CLASSES`.
            purity: Promised purity, between 0 and 1. Beyond the highest stored purity, no row is
                certain.
            groups: Rows that have each optional group, masks of shape (n,). Without them, each row
                counts as one with an unknown pattern.
            missing_bands: Rows that lack each band, masks of shape (n,).

        Returns:
            Shape (n,).
        """
        number = bisect_left(self.purities, purity)
        if number == len(self.purities) or not len(probabilities):
            return np.zeros(len(probabilities), dtype=bool)
        predicted = probabilities.argmax(axis=1)
        if groups is None:
            cuts = self._highest[number][predicted]
        else:
            names, positions = find_patterns(len(probabilities), groups, missing_bands)
            found = np.array([self._arrays.get(name, self._highest)[number] for name in names])
            cuts = found[positions, predicted]
        return probabilities[np.arange(len(predicted)), predicted] >= cuts

    @cached_property
    def _arrays(self) -> dict[str, npt.NDArray[np.float64]]:
        """Cuts by pattern, shape (purities, 3); infinite where a purity is not reached."""
        found = {name: np.array(values, dtype=np.float64) for name, values in self.cuts.items()}
        return {name: np.where(np.isnan(values), np.inf, values) for name, values in found.items()}

    @cached_property
    def _highest(self) -> npt.NDArray[np.float64]:
        """The most conservative cuts, shape (purities, 3)."""
        return np.maximum.reduce(list(self._arrays.values()))
