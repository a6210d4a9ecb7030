"""Which rows are fit to be kept: types, ranges and classes, each rejection with its reason."""

from dataclasses import dataclass

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

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


def _between(low: float, high: float) -> pa.Column:
    check = pa.Check.in_range(low, high, error=f"outside {low:g} to {high:g}")
    return pa.Column(float, check, nullable=True)


_KEY_PART = pa.Column(
    float,
    [
        pa.Check.in_range(1, 2**31 - 1, error="not a positive 32-bit number"),
        pa.Check(lambda values: values % 1 == 0, error="not a whole number"),
    ],
    nullable=False,
)

ROW_SCHEMA = pa.DataFrameSchema(
    {
        **dict.fromkeys(KEY, _KEY_PART),
        "alpha": _between(0, 360),
        "delta": _between(-90, 90),
        **{name: _between(*MAGNITUDE_RANGE) for name in MAGNITUDES},
        "redshift": _between(*REDSHIFT_RANGE),
        "class": pa.Column(
            object, pa.Check.isin(CLASSES, error=f"not one of {', '.join(CLASSES)}"), nullable=True
        ),
        "release": pa.Column(object, nullable=False),
    }
)
"""What a row of any source must satisfy once its columns have been renamed and parsed."""


@dataclass(frozen=True)
class Checked:
    """The rows of a batch, sorted into fit and unfit.

    Attributes:
        valid: Rows that satisfy `ROW_SCHEMA`; sentinels have become null.
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
    rows = rows.reset_index(drop=True)
    numbers = {name: pd.to_numeric(rows[name], errors="coerce") for name in _NUMERIC}
    # An unreadable number is a reason to reject; an empty field only means "not measured".
    unreadable = {
        name: values.isna() & rows[name].notna() & (rows[name].astype(str).str.strip() != "")
        for name, values in numbers.items()
        if values.isna().any()
    }
    parsed = pd.DataFrame(numbers, dtype="float64")
    sentinel = parsed[list(MEASUREMENTS)] == NOT_MEASURED
    parsed[list(MEASUREMENTS)] = parsed[list(MEASUREMENTS)].mask(sentinel)
    for name in ("class", "release"):
        parsed[name] = rows[name].astype(object).mask(rows[name].isna(), None)

    reasons = pd.Series("", index=rows.index, dtype="string")
    for name, mask in unreadable.items():
        reasons[mask] += f"{name}: not a number; "
    try:
        ROW_SCHEMA.validate(parsed, lazy=True)
    except SchemaErrors as errors:
        for case in errors.failure_cases.itertuples():
            index = int(case.index)
            if case.column in unreadable and unreadable[case.column][index]:
                continue
            what = "missing" if case.check == "not_nullable" else case.check
            reasons[index] += f"{case.column}: {what}; "
    unfit = reasons != ""
    valid = parsed.loc[~unfit].astype({name: "int32" for name in KEY})
    rejected = rows.loc[unfit, list(ROW_COLUMNS)].astype("string")
    return Checked(
        valid=valid.reset_index(drop=True),
        rejected=rejected.assign(reason=reasons[unfit].str.removesuffix("; ")).reset_index(
            drop=True
        ),
        not_measured=int(sentinel.to_numpy().sum()),
    )
