"""Conversion of the stored values of a FITS column to Arrow."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyclass.tables.files.arrays import make_array
from skyclass.tables.files.fits_layout import FitsColumn

_OFFSET_TYPES = {
    ("B", -(2.0**7)): np.int8,
    ("I", 2.0**15): np.uint16,
    ("J", 2.0**31): np.uint32,
    ("K", 2.0**63): np.uint64,
}
"""Types that FITS lacks and stores with an offset (`TZERO`)."""


def convert_values(column: FitsColumn, stored: npt.NDArray[Any], is_text: bool) -> pa.Array:
    """Convert the values of a column, without those of variable-length arrays.

    Args:
        column: The column.
        stored: Stored values, shape (n, …).
        is_text: Whether they are stored as text.

    Returns:
        An array of length n; null where a value was not measured. NaN stays NaN.

    Raises:
        pyarrow.ArrowInvalid: A text is not a number.
    """
    if is_text:
        return _parse_texts(column, stored)
    if column.code == "A":
        return make_array(stored)
    if column.code == "L":
        return make_array(stored == ord("T"), (stored != ord("T")) & (stored != ord("F")))
    if column.code == "X":
        bits = np.unpackbits(stored, axis=1, count=column.bits).astype(bool)
        return make_array(bits[:, 0] if column.bits == 1 else bits)
    missing = None
    if column.null is not None and stored.dtype.kind in "iu":
        missing = stored == column.null
    return make_array(_scale(column, stored), missing)


def _scale(column: FitsColumn, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Compute true values; those of 64 bits stay exact where only the type has an offset."""
    if (column.scale, column.zero) == (1, 0):
        return stored
    exact = _OFFSET_TYPES.get((column.code, column.zero))
    if column.scale == 1 and exact is not None:
        native = stored.astype(stored.dtype.newbyteorder("="))
        sign = native.dtype.type(1 << (native.dtype.itemsize * 8 - 1)) if exact is np.int8 else None
        flipped = native ^ sign if sign is not None else native ^ np.iinfo(native.dtype).min
        return flipped.view(exact)
    return stored * column.scale + column.zero


def _parse_texts(column: FitsColumn, stored: npt.NDArray[np.bytes_]) -> pa.Array:
    texts = make_array(stored)
    if column.code == "A":
        return texts
    texts = pc.utf8_trim_whitespace(texts)
    absent = ["", *([str(column.null).strip()] if column.null is not None else [])]
    texts = pc.if_else(pc.is_in(texts, pa.array(absent)), pa.scalar(None, pa.string()), texts)
    if column.code == "I" and (column.scale, column.zero) == (1, 0):
        return texts.cast(pa.int64())
    numbers = pc.replace_substring_regex(texts, "[dD]", "e").cast(pa.float64())
    return pc.add(pc.multiply(numbers, column.scale), column.zero)
