"""Bins of the r magnitude, in which metrics are reported."""

import numpy as np
import numpy.typing as npt

MAGNITUDE_EDGES = (18.0, 20.0, 21.0, 22.0)
"""Borders of the magnitude bins (mag, r band). The lower border belongs to a bin."""

MAGNITUDE_BINS = ("r < 18", "r 18 to 20", "r 20 to 21", "r 21 to 22", "r > 22")


def find_magnitude_bins(r: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return the index in `MAGNITUDE_BINS` of each r magnitude (mag), shape (n,)."""
    return np.searchsorted(MAGNITUDE_EDGES, r, side="right")
