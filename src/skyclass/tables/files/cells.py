"""Columns of numbers; the first value that is none is an error that names its cell."""

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyclass.errors import CatalogError
from skyclass.tables.files.base import TableFile
from skyclass.tables.files.numbers import parse_numbers, to_texts

_MAX_EXACT_FLOAT = 2.0**53
"""Up to this magnitude, 64-bit floating-point numbers represent every integer exactly."""

_WHOLE_NUMBER = re.compile(r"([+-]?\d+)(\.0*)?")
_MAX_QUOTED_CHARACTERS = 40


def read_numbers(
    file: TableFile, position: int, column: pa.ChunkedArray, first_row: int = 0
) -> npt.NDArray[np.float64]:
    """Convert a column to numbers.

    Args:
        file: The file, which error messages name.
        position: Position of the column.
        column: Values of the column in consecutive rows.
        first_row: Position of the first of these rows in the file.

    Returns:
        The numbers, shape (n,); NaN where there is none.

    Raises:
        CatalogError: A value is not a number.
    """
    values, unreadable = parse_numbers(column)
    if unreadable.any():
        row = int(unreadable.argmax())
        raise _cell_error(file, position, first_row + row, column[row].as_py(), "a number")
    return values


def read_integers(
    file: TableFile, position: int, column: pa.ChunkedArray, first_row: int = 0
) -> pa.ChunkedArray:
    """Convert a column of ids or keys to 64-bit integers, without rounding.

    Args:
        file: The file, which error messages name.
        position: Position of the column.
        column: Values of the column in consecutive rows.
        first_row: Position of the first of these rows in the file.

    Returns:
        The integers; null where there is none.

    Raises:
        CatalogError: A value is not a whole number of 64 bits, or a floating-point number so large
            that other ids were rounded to it.
    """
    if pa.types.is_floating(column.type):
        return _cast_floats(file, position, column, first_row)
    values = column if pa.types.is_integer(column.type) else to_texts(column)
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid:  # the error does not name the row
        texts = to_texts(column)
        numbers = []
        for row, text in enumerate(texts.to_pylist()):
            found = _WHOLE_NUMBER.fullmatch(text.strip()) if text is not None else None
            number = int(found[1]) if found else None
            if text is not None and (number is None or abs(number) >= 2**63):
                expected = "a whole number of 64 bits"
                raise _cell_error(file, position, first_row + row, text, expected) from None
            numbers.append(number)
        return pa.chunked_array([pa.array(numbers, pa.int64())])


def _cast_floats(
    file: TableFile, position: int, column: pa.ChunkedArray, first_row: int
) -> pa.ChunkedArray:
    values = pc.cast(column, pa.float64()).to_numpy()
    if (np.abs(values) > _MAX_EXACT_FLOAT).any():
        raise CatalogError(
            f"{file.name}: column {file.header[position]} has floating-point numbers above 2^53, "
            "to which different ids are rounded: store the ids as integers or as text"
        )
    fractional = ~np.isnan(values) & (values != np.floor(values))
    if fractional.any():
        row = int(fractional.argmax())
        raise _cell_error(file, position, first_row + row, values[row], "a whole number")
    return pa.chunked_array([pa.array(values, from_pandas=True).cast(pa.int64())])


def _cell_error(
    file: TableFile, position: int, row: int, value: Any, expected: str
) -> CatalogError:
    text = str(value)
    if len(text) > _MAX_QUOTED_CHARACTERS:
        text = f"{text[:_MAX_QUOTED_CHARACTERS]}…"
    return CatalogError(
        f"{file.name}, {file.locate(row)}: {file.header[position]} is {text!r}, expected "
        f"{expected}: correct it"
    )
