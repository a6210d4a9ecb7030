"""What the metadata and the first values of a column say about its meaning."""

import re
from collections.abc import Sequence
from contextlib import closing

import numpy as np
import numpy.typing as npt

from skyclass.survey.observation import POSITION, RANGES, REDSHIFT_RANGE, is_sentinel
from skyclass.survey.optional import find_discarded
from skyclass.tables.files.base import Chunk, TableFile
from skyclass.tables.files.numbers import parse_numbers

SAMPLE_ROWS = 1000
"""Number of rows at the start of a file whose values are evidence."""

_MIN_MAGNITUDE = 10.0
"""mag; objects of a survey are fainter, and no redshift is as large."""
_MIN_USABLE_SHARE = 0.5
_MAGNITUDE_UNIT = re.compile(r"(?<!m)mags?(?![a-z])(?!.*arcsec)|magnitude", re.IGNORECASE)
"""Not of thousandths, nor of surface brightness."""
_DEGREE_UNIT = re.compile(r"deg", re.IGNORECASE)
_NO_UNITS = ("", "null", "none", "unknown", "1", "-", "--")


def read_first_numbers(
    file: TableFile, positions: Sequence[int]
) -> dict[int, npt.NDArray[np.float64]]:
    """Return the first numbers of columns: NaN for the sentinel, infinite for what is no number."""
    with closing(file.read(positions, SAMPLE_ROWS)) as chunks:  # type: ignore[type-var]
        chunk: Chunk | None = next(chunks, None)
    sample = dict.fromkeys(positions, np.empty(0))
    for position, column in zip(positions, chunk.columns if chunk else (), strict=False):
        values, unreadable = parse_numbers(column.slice(0, SAMPLE_ROWS))
        values = np.where(is_sentinel(values), np.nan, values)
        sample[position] = np.where(unreadable, np.inf, values)
    return sample


def find_wrong_unit(file: TableFile, position: int, name: str) -> str:
    """Return the unit or UCD of a column that contradicts an input; empty if neither does.

    Args:
        file: The file.
        position: Position of the column.
        name: Name of the input: a magnitude, its error, or a coordinate.
    """
    unit, ucd = get_fact(file, position, b"unit"), get_fact(file, position, b"ucd")
    expected = _DEGREE_UNIT if name in POSITION else _MAGNITUDE_UNIT
    if unit.casefold() not in _NO_UNITS and not expected.search(unit):
        return f"unit {unit!r}"
    is_other = name not in POSITION and ucd.startswith(("phot.flux", "phot.count", "src.redshift"))
    return f"UCD {ucd!r}" if is_other else ""


def is_redshift(
    file: TableFile, position: int, z: npt.NDArray[np.float64], r: npt.NDArray[np.float64]
) -> bool | None:
    """Decide whether a column named z has redshifts or magnitudes.

    Its UCD and unit count first, then its values: a redshift of 10 is unknown, and an object that
    is brighter than 8 mag in z only is, too.

    Args:
        file: The file.
        position: Position of the column.
        z: Its first values.
        r: The values of the same rows in the column r.

    Returns:
        None if neither is certain.
    """
    ucd, unit = get_fact(file, position, b"ucd"), get_fact(file, position, b"unit")
    if "redshift" in ucd.casefold():
        return True
    if ucd.startswith("phot.mag") or _MAGNITUDE_UNIT.search(unit):
        return False
    both = np.isfinite(z) & np.isfinite(r)
    if not both.any():
        return None
    if np.median(z[both]) >= _MIN_MAGNITUDE:
        return False
    is_small = np.median(z[both]) <= REDSHIFT_RANGE[1]
    return True if is_small and np.median(r[both]) >= _MIN_MAGNITUDE else None


def is_usable(file: TableFile, position: int, name: str, values: npt.NDArray[np.float64]) -> bool:
    """Return whether a column can be an optional input; a name like `type` has other meanings.

    Args:
        file: The file.
        position: Position of the column.
        name: Name of the input.
        values: Its first values.
    """
    if name != "type" and find_wrong_unit(file, position, name):
        return False
    present = values[~np.isnan(values)]
    if name not in RANGES or not len(present):
        return True
    return bool(np.mean(~find_discarded(name, present).invalid) >= _MIN_USABLE_SHARE)


def get_fact(file: TableFile, position: int, key: bytes) -> str:
    """Return a metadatum of a column, empty if there is none."""
    metadata = file.schema.field(position).metadata or {}
    return metadata.get(key, b"").decode().strip()
