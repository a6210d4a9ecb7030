"""Row validation: types, ranges and classes, with a reason for each rejected row.

Invalid values of optional inputs become null and are counted; they reject no row.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyclass.survey.features import MAGNITUDES
from skyclass.survey.observation import (
    CLASSES,
    KEY,
    MAGNITUDE_RANGE,
    MEASUREMENTS,
    OPTIONAL_COLUMNS,
    POSITION,
    REDSHIFT_RANGE,
    ROW_COLUMNS,
    is_sentinel,
)
from skyclass.survey.optional import describe_valid, find_discarded
from skyclass.tables.files.numbers import parse_numbers, to_texts

Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Rule:
    """A condition on the numbers of a column; NaN stands for a missing number."""

    reason: str
    find_broken: Callable[[Numbers], Mask]


def _in_range(low: float, high: float) -> _Rule:
    return _Rule(f"outside {low:g} to {high:g}", lambda values: (values < low) | (values > high))


_KEY_RULES = (
    _Rule("missing", np.isnan),
    _Rule("not a positive 32-bit number", lambda values: (values < 1) | (values > 2**31 - 1)),
    _Rule("not a whole number", lambda values: values != np.floor(values)),
)
_RULES: dict[str, tuple[_Rule, ...]] = {
    **dict.fromkeys(KEY, _KEY_RULES),
    "alpha": (_in_range(0, 360),),
    "delta": (_in_range(-90, 90),),
    **dict.fromkeys(MAGNITUDES, (_in_range(*MAGNITUDE_RANGE),)),
    "redshift": (_in_range(*REDSHIFT_RANGE),),
}
"""Rules of each numeric column. The first broken rule of a column is reported."""


@dataclass(frozen=True)
class ValidationResult:
    """The rows of a batch, divided into valid and rejected.

    Attributes:
        valid: Columns `ROW_COLUMNS` and the `OPTIONAL_COLUMNS` of the batch, with the types of the
            observations table; sentinels and discarded values are null.
        rejected: The other rows as text, unchanged, with a column `reason`.
        not_measured: Number of values that were the survey's sentinel, or a placeholder in an
            optional input.
        discarded: Number of invalid values of optional inputs, by reason.
    """

    valid: pa.Table
    rejected: pa.Table
    not_measured: int
    discarded: dict[str, int]


def validate_rows(rows: pa.Table) -> ValidationResult:
    """Divide the rows of one batch into valid and rejected.

    Args:
        rows: Columns `ROW_COLUMNS` and any of `OPTIONAL_COLUMNS`, in the source's order; numbers
            may be text.
    """
    columns: dict[str, pa.Array] = {}
    reasons: dict[int, list[str]] = {}
    not_measured = 0
    for name in (*KEY, *POSITION, *MEASUREMENTS):
        values, unreadable = parse_numbers(rows[name])
        if name in MEASUREMENTS:
            sentinels = is_sentinel(values)
            not_measured += int(sentinels.sum())
            values = np.where(sentinels, np.nan, values)
        for reason, broken in _find_broken(values, unreadable, _RULES[name]):
            _add_reason(reasons, broken, f"{name}: {reason}")
        columns[name] = pa.array(values, from_pandas=True)  # NaN becomes null
    optional = [name for name in OPTIONAL_COLUMNS if name in rows.column_names]
    discarded: Counter[str] = Counter()
    for name in optional:
        values, unreadable = parse_numbers(rows[name])
        placeholders, invalid = find_discarded(name, values)
        not_measured += int(placeholders.sum())
        discarded[f"{name}: not a number"] += int(unreadable.sum())
        discarded[f"{name}: {describe_valid(name)}"] += int(invalid.sum())
        values = np.where(placeholders | invalid, np.nan, values)
        columns[name] = pa.array(values, from_pandas=True)
    columns["class"], columns["release"] = to_texts(rows["class"]), to_texts(rows["release"])
    known = pc.is_in(columns["class"], pa.array([*CLASSES, None], pa.string()))
    _add_reason(reasons, ~_to_mask(known), f"class: not one of {', '.join(CLASSES)}")
    _add_reason(reasons, _to_mask(pc.is_null(columns["release"])), "release: missing")

    names = [*ROW_COLUMNS, *optional]
    valid, rejected = pa.table({name: columns[name] for name in names}), rows.select(names)
    if reasons:
        is_rejected = np.zeros(rows.num_rows, dtype=bool)
        is_rejected[list(reasons)] = True
        valid, rejected = valid.filter(~is_rejected), rejected.filter(is_rejected)
    else:
        rejected = rejected.slice(0, 0)
    texts = {name: to_texts(rejected[name]) for name in names}
    texts["reason"] = pa.array(["; ".join(reasons[row]) for row in sorted(reasons)], pa.string())
    return ValidationResult(
        valid=_cast_keys(valid),
        rejected=pa.table(texts),
        not_measured=not_measured,
        discarded=dict(+discarded),
    )


def _find_broken(
    values: Numbers, unreadable: Mask, rules: tuple[_Rule, ...]
) -> Iterator[tuple[str, Mask]]:
    """Yield each reason with its rows; a row occurs at most once."""
    yield "not a number", unreadable
    reported = unreadable
    for rule in rules:
        broken = rule.find_broken(values) & ~reported
        yield rule.reason, broken
        reported = reported | broken


def _add_reason(reasons: dict[int, list[str]], where: Mask, reason: str) -> None:
    for row in np.flatnonzero(where).tolist():
        reasons.setdefault(row, []).append(reason)


def _cast_keys(rows: pa.Table) -> pa.Table:
    for index, name in enumerate(KEY):
        rows = rows.set_column(index, name, rows[name].cast(pa.int32()))
    return rows


def _to_mask(values: pa.ChunkedArray) -> Mask:
    return np.asarray(values.to_numpy(), dtype=bool)
