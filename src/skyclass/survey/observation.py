"""The observation: its columns, its key, its classes and the survey era it belongs to."""

from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from skyclass.survey.features import MAGNITUDES

CLASSES = ("GALAXY", "QSO", "STAR")
"""The classes, in the order of every probability vector and confusion matrix."""

KEY = ("plate", "mjd", "fiber_id")
"""What identifies an observation: spectroscopic plate, night (MJD) and fibre.

Object and spectrum ids are not used: public CSV files carry them rounded to floats, and
`specObjID` exceeds a signed 64-bit integer for plates of 8192 and above.
"""

POSITION = ("alpha", "delta")
MEASUREMENTS = (*MAGNITUDES, "redshift")
NOT_MEASURED = -9999.0
"""The survey's sentinel for a value that was not measured; it becomes null."""

MAGNITUDE_RANGE = (5.0, 35.0)
"""mag; the survey saturates near 12 and its faintest asinh magnitudes stay below 30."""
REDSHIFT_RANGE = (-0.05, 8.0)
"""Dimensionless; the survey's highest redshift is 7.011."""

OBSERVED = (*KEY, *POSITION, *MEASUREMENTS, "class")
"""What a survey's table says of each observation."""

ROW_COLUMNS = (*OBSERVED, "release")
"""What a source delivers for each row, once its dialect has been understood.

`release` is the survey's data release (DR17, SIMULATED, …). It goes with the row, so that synthetic
rows still say so when they were written to a file on their way.
"""

SCHEMA = pa.schema(
    [
        *((name, pa.int32()) for name in KEY),
        *((name, pa.float64()) for name in (*POSITION, *MEASUREMENTS)),
        ("class", pa.string()),
        ("source", pa.string()),
        ("release", pa.string()),
        ("batch_id", pa.string()),
        ("ingested_at", pa.timestamp("us", tz="UTC")),
        ("era", pa.string()),
    ]
)
"""The observations table.

Source: SDSS DR17 data model, tables PhotoObj and SpecObj.
"""


class Era(StrEnum):
    """A survey programme: each selected other targets, which is the drift seen in production."""

    LEGACY = "legacy"
    BOSS = "boss"
    EBOSS = "eboss"


FIRST_MJD = {Era.LEGACY: 0, Era.BOSS: 55_100, Era.EBOSS: 56_850}
"""The first night of each era, set in the gaps between the programmes' plates."""


def era_of(mjd: pd.Series) -> npt.NDArray[np.object_]:
    """Name the era of each night.

    Args:
        mjd: Modified Julian Dates (days), shape (n,).

    Returns:
        Era names, shape (n,).
    """
    index = np.searchsorted(list(FIRST_MJD.values()), mjd.to_numpy(), side="right") - 1
    return np.array([str(era) for era in FIRST_MJD], dtype=object)[np.maximum(index, 0)]
