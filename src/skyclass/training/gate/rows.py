"""The rows that the gate evaluates models on, and their slices."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from skyclass.survey.magnitudes import MAGNITUDE_BINS, find_magnitude_bins
from skyclass.survey.observation import CLASSES, Era, find_eras
from skyclass.training.dataset import Dataset

MIN_ROWS = 50
"""Smaller slices, and fewer newest rows, are not tested: almost nothing could be shown on them."""

PLACES: Mapping[str, str] = {
    "random_holdout": "the random hold-out",
    "temporal_holdout": "the newest nights of the random hold-out",
}
"""Rows that both models are compared on, by group of the check."""


@dataclass(frozen=True)
class HeldOutRows:
    """Rows of the random hold-out. Neither the challenger nor any champion was fitted on them.

    Attributes:
        labels: Index of the true class in `CLASSES`, shape (n,).
        r: Magnitude in the r band (mag), shape (n,).
        nights: MJD of the observation, shape (n,).
        is_newest: Whether a row is also in the temporal hold-out: the newest nights. Shape (n,).
    """

    labels: npt.NDArray[np.int_]
    r: npt.NDArray[np.float64]
    nights: npt.NDArray[np.int_]
    is_newest: npt.NDArray[np.bool_]

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> "HeldOutRows":
        """Select the random hold-out of a dataset."""
        held_out = dataset.random_holdout
        rows = dataset.rows[held_out]
        labels = dataset.labels[held_out]
        return cls(
            labels=np.argmax([labels == name for name in CLASSES], axis=0),
            r=rows["r"].to_numpy(np.float64),
            nights=rows["mjd"].to_numpy(np.int_),
            is_newest=dataset.temporal_holdout[held_out],
        )


class Slice(NamedTuple):
    """Rows of one class, one magnitude bin and one era.

    Attributes:
        class_name: One of `CLASSES`.
        magnitudes: One of `MAGNITUDE_BINS`.
        era: The era.
        members: Indices of its rows.
    """

    class_name: str
    magnitudes: str
    era: Era
    members: npt.NDArray[np.int_]

    @property
    def name(self) -> str:
        """Name as the verdict shows it."""
        return f"{self.class_name}, {self.magnitudes}, {self.era}"


def find_slices(rows: HeldOutRows) -> Iterator[Slice]:
    """Yield the slices that have at least `MIN_ROWS` rows, by class, magnitude and era."""
    bins = find_magnitude_bins(rows.r)
    eras = find_eras(rows.nights)
    for label, class_name in enumerate(CLASSES):
        for number, magnitudes in enumerate(MAGNITUDE_BINS):
            for era in Era:
                chosen = (rows.labels == label) & (bins == number) & (eras == str(era))
                if chosen.sum() >= MIN_ROWS:
                    yield Slice(class_name, magnitudes, era, np.flatnonzero(chosen))
