"""Galactic extinction at a position on the sky, from a map of dust."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import hpgeom
import numpy as np
import numpy.typing as npt

from skyclass.survey.features import ALL_INPUTS, INPUTS, Mode

EXTINCTION_PER_REDDENING = 2.30
"""A_r / E(B-V), fitted to the extinction that SDSS publishes; Schlafly & Finkbeiner (2011) found
2.285."""

_ICRS_TO_GALACTIC = np.array(
    [
        [-0.0548755604, -0.8734370902, -0.4838350155],
        [+0.4941094279, -0.4448296300, +0.7469822445],
        [-0.8676661490, -0.1980763734, +0.4559837762],
    ]
)
"""Rotation of unit vectors. Source: ESA (1997), The Hipparcos Catalogue, volume 1, eq. 1.5.11."""

_LOWEST, _HIGHEST = np.array([[[0.0], [-90.0]], [[360.0], [90.0]]])
"""Limits of right ascension and declination (degrees), each of shape (2, 1)."""


@dataclass(frozen=True, eq=False)
class DustMap:
    """A full-sky map of E(B-V).

    Attributes:
        reddening: E(B-V) (mag) of each HEALPix pixel, Galactic coordinates, ring order.
    """

    reddening: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        shape = self.reddening.shape
        if self._side == 0 or shape != (12 * self._side**2,):
            raise ValueError(f"shape {shape}, expected one value for each of 12 n² HEALPix pixels")

    @classmethod
    def load(cls, path: Path) -> "DustMap":
        """Read a map that `save` wrote.

        Raises:
            ValueError: The file holds something else.
        """
        with path.open("rb") as file:
            return cls(np.lib.format.read_array(file, allow_pickle=False))

    def save(self, path: Path) -> None:
        """Write the map to a file in NumPy's format."""
        with path.open("wb") as file:  # np.save would add a suffix to a name without one
            np.save(file, self.reddening, allow_pickle=False)

    def find_extinction(
        self, alpha: npt.ArrayLike, delta: npt.ArrayLike
    ) -> npt.NDArray[np.float64]:
        """Return the extinction in r, interpolated bilinearly between pixels.

        Args:
            alpha: Right ascensions (degrees, ICRS), shape (n,).
            delta: Declinations (degrees, ICRS), shape (n,).

        Returns:
            A_r (mag), shape (n,); NaN where a coordinate is NaN or outside 0 to 360, -90 to 90.
        """
        positions = np.array([alpha, delta], dtype=np.float64)
        is_valid = ((positions >= _LOWEST) & (positions <= _HIGHEST)).all(axis=0)
        if not is_valid.all():
            extinction = np.full(is_valid.shape, np.nan)
            extinction[is_valid] = self.find_extinction(*positions[:, is_valid])
            return extinction
        positions = np.radians(positions)
        (sin_alpha, z), (cos_alpha, around) = np.sin(positions), np.cos(positions)
        x, y, z = _ICRS_TO_GALACTIC @ np.array([around * cos_alpha, around * sin_alpha, z])
        pixels, weights = hpgeom.get_interpolation_weights(
            self._side, np.arctan2(y, x), np.arctan2(z, np.hypot(x, y)), nest=False, degrees=False
        )
        return EXTINCTION_PER_REDDENING * np.vecdot(self.reddening[pixels], weights)

    @cached_property
    def _side(self) -> int:
        """Pixels along the side of a HEALPix base pixel."""
        return round((self.reddening.size / 12) ** 0.5)


def fill_extinction(
    inputs: npt.ArrayLike, mode: Mode, dust_map: DustMap | None
) -> npt.NDArray[np.float64]:
    """Fill absent extinctions from a dust map.

    Args:
        inputs: Shape (n, len(INPUTS[mode])) or (n, len(ALL_INPUTS[mode])), in that order. Where
            `extinction_r` is NaN and the position is not, the extinction is read from the map.
        mode: Mode of the model.
        dust_map: The map; None changes nothing.

    Returns:
        The inputs, or a changed copy.
    """
    values = np.asarray(inputs, dtype=np.float64)
    if dust_map is None or values.ndim != 2 or values.shape[1] == len(INPUTS[mode]):
        return values
    alpha, delta, extinction = (
        ALL_INPUTS[mode].index(name) for name in ("alpha", "delta", "extinction_r")
    )
    is_absent = np.isnan(values[:, extinction])
    if not is_absent.any():
        return values
    values = values.copy()
    values[is_absent, extinction] = dust_map.find_extinction(
        values[is_absent, alpha], values[is_absent, delta]
    )
    return values
