"""Which rows are fit to be kept: types, ranges and classes, each rejection with its reason."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.compute as pc
from pandera.errors import SchemaErrors

from skyclass.survey.features import MAGNITUDES
from skyclass.survey.observation import (
    CLASSES,
    KEY,
    MAGNITUDE_RANGE,
    MEASUREMENTS,
    NOT_MEASURED,
    POSITION,
    REDSHIFT_RANGE,
    ROW_COLUMNS,
)

_NUMERIC = (*KEY, *POSITION, *MEASUREMENTS)


def _between(low: float, high: float) -> pandera.Column:
    check = pandera.Check.in_range(low, high, error=f"outside {low:g} to {high:g}")
    return pandera.Column(float, check, nullable=True)


_KEY_PART = pandera.Column(
    float,
    [
        pandera.Check.in_range(1, 2**31 - 1, error="not a positive 32-bit number"),
        pandera.Check(lambda values: values % 1 == 0, error="not a whole number"),
    ],
    nullable=False,
)

ROW_SCHEMA = pandera.DataFrameSchema(
    {
        **dict.fromkeys(KEY, _KEY_PART),
        "alpha": _between(0, 360),
        "delta": _between(-90, 90),
        **{name: _between(*MAGNITUDE_RANGE) for name in MAGNITUDES},
        "redshift": _between(*REDSHIFT_RANGE),
        "class": pandera.Column(
            object,
            pandera.Check.isin(CLASSES, error=f"not one of {', '.join(CLASSES)}"),
            nullable=True,
        ),
        "release": pandera.Column(object, nullable=False),
    }
)
"""What a row of any source must satisfy once its columns have been renamed and parsed."""


@dataclass(frozen=True)
class ValidationResult:
    """The rows of a batch, sorted into fit and unfit.

    Attributes:
        valid: Rows that satisfy `ROW_SCHEMA`; sentinels have become null.
        rejected: The other rows as they came, with a column `reason`.
        not_measured: How many values carried the survey's sentinel.
    """

    valid: pd.DataFrame
    rejected: pd.DataFrame
    not_measured: int


def validate_rows(rows: pd.DataFrame) -> ValidationResult:
    """Sort the rows of one batch into fit and unfit.

    Args:
        rows: Columns `ROW_COLUMNS`; numbers may still be text, as in a CSV file.
    """
    rows = rows.reset_index(drop=True)
    values: dict[str, npt.NDArray[Any]] = {}
    unreadable: dict[str, npt.NDArray[np.bool_]] = {}
    for name in _NUMERIC:
        values[name], unreadable[name] = _numbers(rows[name])
    not_measured = 0
    for name in MEASUREMENTS:
        sentinel = values[name] == NOT_MEASURED
        values[name] = np.where(sentinel, np.nan, values[name])
        not_measured += int(sentinel.sum())
    for name in ("class", "release"):
        values[name] = _text(rows[name]).to_pandas().to_numpy(object)
    parsed = pd.DataFrame(values)

    reasons = _reasons(parsed, unreadable)
    unfit = np.zeros(len(rows), dtype=bool)
    unfit[list(reasons)] = True
    valid = parsed[~unfit].reset_index(drop=True) if reasons else parsed
    rejected = rows.loc[unfit, list(ROW_COLUMNS)].astype("string").reset_index(drop=True)
    rejected["reason"] = pd.Series([reasons[row] for row in sorted(reasons)], dtype="string")
    return ValidationResult(
        valid=valid.astype({name: "int32" for name in KEY}),
        rejected=rejected,
        not_measured=not_measured,
    )


def _reasons(parsed: pd.DataFrame, unreadable: dict[str, npt.NDArray[np.bool_]]) -> dict[int, str]:
    """What is wrong with each unfit row, by row number: the first complaint on each column."""
    found: dict[int, dict[str, str]] = {}
    for name, where in unreadable.items():
        for row in np.flatnonzero(where).tolist():
            found.setdefault(row, {})[name] = "not a number"
    try:
        ROW_SCHEMA.validate(parsed, lazy=True)
    except SchemaErrors as errors:
        for case in errors.failure_cases.itertuples():
            wrong = "missing" if case.check == "not_nullable" else case.check
            found.setdefault(int(case.index), {}).setdefault(case.column, wrong)
    return {
        row: "; ".join(f"{name}: {wrong}" for name, wrong in complaints.items())
        for row, complaints in found.items()
    }


def _numbers(values: pd.Series) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
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
