"""Columns, key, classes, valid ranges and survey eras of observations."""

from datetime import date, timedelta
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from skyclass.survey.features import (
    GROUP_INPUTS,
    MAGNITUDES,
    OPTIONAL_INPUTS,
    InputGroup,
    Mode,
)

CLASSES = ("GALAXY", "QSO", "STAR")
"""The classes, in the order of every probability vector and confusion matrix."""

_CLASS_NAMES = np.array(CLASSES, dtype=object)

KEY = ("plate", "mjd", "fiber_id")
"""Columns that identify an observation: spectroscopic plate, night (MJD) and fibre.

Object and spectrum ids are not used: public CSV files hold them rounded to floats, and
`specObjID` exceeds a signed 64-bit integer for plates of 8192 and above.
"""

POSITION = ("alpha", "delta")
MEASUREMENTS = (*MAGNITUDES, "redshift")
NOT_MEASURED = -9999.0
"""The survey's sentinel for a value that was not measured; tables hold null instead."""

MAGNITUDE_RANGE = (5.0, 35.0)
"""mag; the survey saturates near 12 and its faintest asinh magnitudes stay below 30."""
REDSHIFT_RANGE = (-0.05, 8.0)
"""Dimensionless; the survey's highest redshift is 7.011."""
EXTINCTION_RANGE = (0.0, 150.0)
"""mag; the dust map of Schlegel, Finkbeiner & Davis (1998) reaches 130 in the Galactic plane."""
ERROR_RANGE = (1e-6, 100.0)
"""mag; errors of asinh magnitudes grow beyond 10 where an object is not detected."""
WISE_RANGE = (1.0, 30.0)
"""mag (Vega); stars of SDSS are fainter than 5, and forced photometry ends near 25."""
TYPES = (3.0, 6.0)
"""Photometric types of objects that are classified: extended and point-like."""

RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(MAGNITUDES, MAGNITUDE_RANGE),
    "redshift": REDSHIFT_RANGE,
    "alpha": (0.0, 360.0),
    "delta": (-90.0, 90.0),
    "extinction_r": EXTINCTION_RANGE,
    **dict.fromkeys(GROUP_INPUTS[InputGroup.PSF], MAGNITUDE_RANGE),
    "type": TYPES,
    **dict.fromkeys(GROUP_INPUTS[InputGroup.ERRORS], ERROR_RANGE),
    **dict.fromkeys(GROUP_INPUTS[InputGroup.WISE], WISE_RANGE),
}
"""Lowest and highest valid value of each input, in its unit; a type has one of the two values."""

OBSERVATION_COLUMNS = (*KEY, *POSITION, *MEASUREMENTS, "class")
"""Columns of an observation in SDSS tables."""

OPTIONAL_COLUMNS = tuple(name for name in OPTIONAL_INPUTS[Mode.PHOTOMETRIC] if name not in POSITION)
"""Optional inputs that a source can have beside the columns of every observation."""

ROW_COLUMNS = (*OBSERVATION_COLUMNS, "release")
"""Columns of a row of every source.

`release` is the data release of the survey (DR17, SIMULATED, …), stored with each row so that
synthetic rows stay recognisable.
"""


class Era(StrEnum):
    """Survey programme. Each selected its targets differently, so the data drift between them."""

    LEGACY = "legacy"
    BOSS = "boss"
    EBOSS = "eboss"


FIRST_MJD = {Era.LEGACY: 0, Era.BOSS: 55_100, Era.EBOSS: 56_850}
"""The first night of each era, set in the gaps between the programmes' plates."""

_MJD_EPOCH = date(1858, 11, 17)


def find_eras(mjd: npt.ArrayLike) -> npt.NDArray[np.object_]:
    """Return the era of each night.

    Args:
        mjd: Modified Julian Dates (days), shape (n,).

    Returns:
        Era names, shape (n,).

    Examples:
        >>> find_eras([51_608, 55_176, 58_932]).tolist()
        ['legacy', 'boss', 'eboss']
    """
    index = np.searchsorted(list(FIRST_MJD.values()), np.asarray(mjd), side="right") - 1
    return np.array([str(era) for era in FIRST_MJD], dtype=object)[np.maximum(index, 0)]


def find_date(mjd: int) -> date:
    """Return the date (UTC) of a Modified Julian Date.

    Examples:
        >>> find_date(51_608)
        datetime.date(2000, 3, 5)
    """
    return _MJD_EPOCH + timedelta(days=mjd)


def is_sentinel(values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return where values are the survey's sentinel for "not measured".

    Args:
        values: Numbers of any shape: an array, a pandas or Arrow column, or a scalar.

    Examples:
        >>> is_sentinel([-9999, 21.2, float("nan")]).tolist()
        [True, False, False]
    """
    return np.asarray(values, dtype=np.float64) == NOT_MEASURED


def most_probable_classes(probabilities: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.object_]:
    """Return the most probable class of each row.

    Args:
        probabilities: Shape (n, 3), in the order of `CLASSES`.

    Examples:
        >>> most_probable_classes(np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])).tolist()
        ['STAR', 'GALAXY']
    """
    return _CLASS_NAMES[probabilities.argmax(axis=1)]
