"""Hand-made observations, and the names of rows in the history of a fault test."""

from typing import Any

import pandas as pd
import pyarrow as pa

ROW: dict[str, Any] = {
    **{"plate": 267, "mjd": 51608, "fiber_id": 286, "alpha": 147.1655486, "delta": -0.8913130},
    **{"u": 21.21101, "g": 18.92085, "r": 17.65245, "i": 17.1453, "z": 16.75657},
    **{"redshift": 0.1674231, "class": "GALAXY", "release": "DR17"},
}
"""A real galaxy of the Legacy era."""

OPTIONAL: dict[str, Any] = {
    "extinction_r": 0.083,
    **{"psf_u": 21.9, "psf_g": 19.8, "psf_r": 18.6, "psf_i": 18.1, "psf_z": 17.7, "type": 3},
    **{"err_u": 0.13, "err_g": 0.02, "err_r": 0.01, "err_i": 0.01, "err_z": 0.02},
    **{"w1": 14.31, "w2": 14.12},
}
"""Plausible optional inputs of that galaxy."""


def frame(*changes: dict[str, Any]) -> pd.DataFrame:
    """Return copies of `ROW` with fibres 1, 2, 3, … and one change each."""
    rows = [{**ROW, "fiber_id": fibre, **change} for fibre, change in enumerate(changes, start=1)]
    return pd.DataFrame(rows, columns=list(ROW), dtype=object)


def name_rows(rows: pd.DataFrame) -> list[str]:
    """Return the key of each observation or prediction, as `plate-mjd-fiber`."""
    keys = zip(rows["plate"], rows["mjd"], rows["fiber_id"], strict=True)
    return [f"{plate}-{mjd}-{fiber}" for plate, mjd, fiber in keys]


def table(*changes: dict[str, Any]) -> pa.Table:
    """Return the rows of `frame` as Arrow, as a source does: columns of mixed types are text."""
    return pa.table({name: _to_column(values.tolist()) for name, values in frame(*changes).items()})


def _to_column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values])
