"""Variable-length arrays of FITS tables, which are stored behind the rows."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyclass.errors import CatalogError
from skyclass.tables.files.fits_layout import FitsColumn
from skyclass.tables.files.fits_values import convert_values

_MAX_SPAN_BYTES = 256 << 20
"""Largest part of the heap that is read for one block of rows."""


def read_arrays(
    column: FitsColumn, places: npt.NDArray[np.integer[Any]], file: Any, heap: int, name: str
) -> pa.Array:
    """Read the arrays of consecutive rows; the file is left where it was.

    Args:
        column: The column.
        places: Number of elements and position in the heap (bytes) of each array, shape (n, 2).
        file: The file, at any position; not used for no rows.
        heap: Position of the heap in the file (bytes).
        name: Name of the file in messages.

    Returns:
        Lists, or texts where the elements are characters.

    Raises:
        CatalogError: The file is compressed or truncated, or the arrays are spread too widely.
    """
    sizes, starts = np.maximum(places.T[0], 0).astype(np.int64), places.T[1].astype(np.int64)
    filled, dtype = sizes > 0, column.element
    data = b""
    if filled.any():
        first = int(starts[filled].min())
        last = int((starts + sizes * dtype.itemsize)[filled].max())
        data = _read_span(column, file, heap + first, last - first, name)
        starts = starts - first
    arrays = [
        np.frombuffer(data, dtype, size, start) if size else np.empty((0, *dtype.shape), dtype.base)
        for size, start in zip(sizes, starts, strict=True)
    ]
    if column.code == "A":
        texts = [array.tobytes().split(b"\0")[0].decode("latin-1") for array in arrays]
        return pa.array([text.rstrip(" ") for text in texts], pa.string())
    flat = np.concatenate([np.empty((0, *dtype.shape), dtype.base), *arrays])
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return pa.LargeListArray.from_arrays(offsets, convert_values(column, flat, is_text=False))


def _read_span(column: FitsColumn, file: Any, start: int, size: int, name: str) -> bytes:
    if not file.seekable():
        raise CatalogError(
            f"{name}: column {column.name} has arrays of variable length: decompress the file"
        )
    if size > _MAX_SPAN_BYTES:
        raise CatalogError(
            f"{name}: the arrays of column {column.name} are {size >> 20} MiB apart: remove it"
        )
    here = file.tell()
    file.seek(start)
    data = bytes(file.read(size))
    file.seek(here)
    if len(data) < size:
        raise CatalogError(f"{name}: the arrays of {column.name} end early: the file is truncated")
    return data
