"""Which rows are fit to be kept: types, ranges and classes, each rejection with its reason."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skyclass.catalog.observation import (
    CLASSES,
    KEY,
    MAGNITUDE_RANGE,
    MEASUREMENTS,
    NOT_MEASURED,
    POSITION,
    REDSHIFT_RANGE,
    ROW_COLUMNS,
)
from skyclass.features import MAGNITUDES

_NUMERIC = (*KEY, *POSITION, *MEASUREMENTS)


MISSING, UNREADABLE = "missing", "not a number"

Mask = npt.NDArray[np.bool_]
Broken = Callable[[npt.NDArray[Any]], Mask]


def _outside(low: float, high: float) -> Broken:
    return lambda values: (values < low) | (values > high)


def _ranges() -> Iterator[tuple[str, str, Broken]]:
    bounds = {
        "alpha": (0.0, 360.0),
        "delta": (-90.0, 90.0),
        **dict.fromkeys(MAGNITUDES, MAGNITUDE_RANGE),
        "redshift": REDSHIFT_RANGE,
    }
    for name, (low, high) in bounds.items():
        yield name, f"outside {low:g} to {high:g}", _outside(low, high)


def _keys() -> Iterator[tuple[str, str, Broken]]:
    for name in KEY:
        yield name, MISSING, pd.isna
        yield name, "not a positive 32-bit number", _outside(1, 2**31 - 1)
        yield name, "not a whole number", lambda values: values % 1 > 0


RULES: tuple[tuple[str, str, Broken], ...] = (
    *_keys(),
    *_ranges(),
    (
        "class",
        f"not one of {', '.join(CLASSES)}",
        lambda values: ~(pd.isna(values) | pd.Series(values).isin(CLASSES).to_numpy()),
    ),
    ("release", MISSING, pd.isna),
)
"""What a row of any source must satisfy once its columns have been renamed and parsed.

Each is a column, what is wrong with a row that breaks the rule, and where the rule is broken. A
value that is not there breaks none but `MISSING`.
"""


@dataclass(frozen=True)
class Checked:
    """The rows of a batch, sorted into fit and unfit.

    Attributes:
        valid: Rows that break none of the `RULES`; sentinels have become null.
        rejected: The other rows as they came, with a column `reason`.
        not_measured: How many values carried the survey's sentinel.
    """

    valid: pd.DataFrame
    rejected: pd.DataFrame
    not_measured: int


def check(rows: pd.DataFrame) -> Checked:
    """Sort the rows of one batch into fit and unfit.

    Args:
        rows: Columns `ROW_COLUMNS`; numbers may still be text, as in a CSV file.
    """
    faults: list[tuple[str, str, Mask]] = []
    values: dict[str, npt.NDArray[Any]] = {}
    for name in _NUMERIC:
        values[name], unreadable = _numbers(rows[name])
        faults.append((name, UNREADABLE, unreadable))
    not_measured = 0
    for name in MEASUREMENTS:
        sentinel = values[name] == NOT_MEASURED
        values[name] = np.where(sentinel, np.nan, values[name])
        not_measured += int(sentinel.sum())
    for name in ("class", "release"):
        values[name] = _text(rows[name]).to_pandas().to_numpy(object)
    faults += [(name, wrong, broken(values[name])) for name, wrong, broken in RULES]

    unfit = np.logical_or.reduce([where for _, _, where in faults])
    parsed = pd.DataFrame(values)
    valid = parsed if not unfit.any() else parsed[~unfit].reset_index(drop=True)
    rows = rows.reset_index(drop=True)
    rejected = rows.loc[unfit, list(ROW_COLUMNS)].astype("string").reset_index(drop=True)
    rejected["reason"] = _reasons(faults, unfit)
    return Checked(
        valid=valid.astype({name: "int32" for name in KEY}),
        rejected=rejected,
        not_measured=not_measured,
    )


def _reasons(faults: list[tuple[str, str, Mask]], unfit: Mask) -> pd.Series:
    """What is wrong with each unfit row: the first rule of each column that it breaks."""
    reasons: list[dict[str, str]] = [{} for _ in range(int(unfit.sum()))]
    for name, wrong, where in faults:
        for row in np.flatnonzero(where[unfit]).tolist():
            reasons[row].setdefault(name, wrong)
    texts = ["; ".join(f"{name}: {wrong}" for name, wrong in row.items()) for row in reasons]
    return pd.Series(texts, dtype="string")


def _numbers(values: pd.Series) -> tuple[npt.NDArray[np.float64], Mask]:
    """Read numbers that may be text.

    Returns:
        The numbers, NaN where there is none; and where there stands something that is none. An
        empty field only means "not measured".
    """
    if values.dtype.kind in "iuf":
        found = values.to_numpy(np.float64, copy=True, na_value=np.nan)
        return found, np.zeros(len(values), dtype=bool)
    text = pc.utf8_trim_whitespace(_text(values))
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    try:
        found = pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:  # it does not say where
        found = pd.to_numeric(text.to_pandas(), errors="coerce").to_numpy(np.float64)
    return found, np.isnan(found) & text.is_valid().to_numpy(zero_copy_only=False)


def _text(values: pd.Series) -> pa.ChunkedArray:
    if isinstance(values.dtype, pd.ArrowDtype):
        return pa.chunked_array(pa.array(values.array))
    texts = pa.array(values.map(str, na_action="ignore"), pa.string(), from_pandas=True)
    return pa.chunked_array([texts])
