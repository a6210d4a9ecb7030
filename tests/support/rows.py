"""Observations made by hand for the tests."""

from typing import Any

import pandas as pd

ROW: dict[str, Any] = {
    **{"plate": 267, "mjd": 51608, "fiber_id": 286, "alpha": 147.1655486, "delta": -0.8913130},
    **{"u": 21.21101, "g": 18.92085, "r": 17.65245, "i": 17.1453, "z": 16.75657},
    **{"redshift": 0.1674231, "class": "GALAXY", "release": "DR17"},
}
"""A real galaxy of the Legacy era."""


def frame(*changes: dict[str, Any]) -> pd.DataFrame:
    """Rows that differ from `ROW` in fibre (1, 2, 3, …) and in what is said."""
    rows = [{**ROW, "fiber_id": fibre, **change} for fibre, change in enumerate(changes, start=1)]
    return pd.DataFrame(rows, columns=list(ROW), dtype=object)
