"""What a column of a catalogue holds: elements of one type, in rows of one shape."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_ELEMENTS = {
    pa.bool_(): np.dtype(np.bool_),
    pa.int8(): np.dtype(np.int8),
    pa.uint8(): np.dtype(np.uint8),
    pa.int16(): np.dtype(np.int16),
    pa.uint16(): np.dtype(np.uint16),
    pa.int32(): np.dtype(np.int32),
    pa.uint32(): np.dtype(np.uint32),
    pa.int64(): np.dtype(np.int64),
    pa.uint64(): np.dtype(np.uint64),
    pa.float32(): np.dtype(np.float32),
    pa.float64(): np.dtype(np.float64),
    pa.string(): np.dtype(object),
}
"""NumPy type of each element type."""

WIDER = {
    pa.int8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.int64(),
}
"""Signed type for integers of a type that a format lacks. Those of 64 bits do not all fit."""


@dataclass(frozen=True)
class Layout:
    """Layout of a column.

    Attributes:
        element: Arrow type of the elements.
        shape: Shape of the elements of a row; empty for scalars and for lists of them.
        is_variable: Whether a row is a list of any length.
    """

    element: pa.DataType
    shape: tuple[int, ...] = ()
    is_variable: bool = False

    @property
    def size(self) -> int:
        """Number of elements in a row, if all rows have one shape."""
        return prod(self.shape)

    @property
    def is_array(self) -> bool:
        """Whether a row can have more than one element."""
        return self.is_variable or bool(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy type of the elements; `object` for text."""
        return _ELEMENTS[self.element]

    @property
    def is_text(self) -> bool:
        """Whether the elements are texts."""
        return bool(self.element == pa.string())

    @property
    def is_integer(self) -> bool:
        """Whether the elements are integers."""
        return bool(pa.types.is_integer(self.element))

    def with_element(self, element: pa.DataType) -> "Layout":
        """Return the layout with elements of another type."""
        return replace(self, element=element)

    def find_sizes(self, column: pa.Array) -> npt.NDArray[np.int64]:
        """Return the number of elements in each row of a column, shape (n,)."""
        if not self.is_variable:
            return np.full(len(column), self.size)
        sizes = pc.fill_null(pc.list_value_length(column), 0)
        return sizes.to_numpy(zero_copy_only=False).astype(np.int64)


def find_layout(kind: pa.DataType) -> Layout | None:
    """Return the layout of a column of an Arrow type, or None if catalogues cannot hold it.

    Times become text (ISO 8601), dictionaries their values, and 16-bit floating-point numbers
    those of 32 bits.

    Examples:
        >>> find_layout(pa.list_(pa.float32(), 5))
        Layout(element=DataType(float), shape=(5,))
    """
    if pa.types.is_fixed_size_list(kind):
        inner = find_layout(kind.value_type)
        if inner is None or inner.is_variable:
            return None
        return replace(inner, shape=(kind.list_size, *inner.shape))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = find_layout(kind.value_type)
        return None if inner is None or inner.is_array else replace(inner, is_variable=True)
    if pa.types.is_dictionary(kind):
        return find_layout(kind.value_type)
    if pa.types.is_float16(kind):
        return Layout(pa.float32())
    if _is_text(kind) or _is_time(kind) or pa.types.is_null(kind):
        return Layout(pa.string())
    return Layout(kind) if kind in _ELEMENTS else None


def to_elements(column: pa.Array, layout: Layout) -> pa.Array:
    """Return the elements of a column, row by row, those of missing rows as nulls.

    Args:
        column: A column of any type that has a layout.
        layout: The layout.

    Returns:
        An array of type `layout.element`. Missing lists of any length have no elements.
    """
    if layout.is_variable:
        column = column.flatten()
    for width in layout.shape:
        column = _flatten(column, width)
    return _cast(column, layout.element)


def to_arrays(column: pa.Array, layout: Layout) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Convert a column to NumPy.

    Returns:
        The values, of type `layout.dtype`, and a mask of those that are missing. A missing value is
        NaN, zero, False or empty. The shape is (n, *layout.shape); the elements of lists of any
        length follow each other.
    """
    elements = to_elements(column, layout)
    mask = elements.is_null().to_numpy(zero_copy_only=False)
    blank: Any = np.nan if pa.types.is_floating(layout.element) else 0
    blank = "" if layout.is_text else False if layout.element == pa.bool_() else blank
    values = elements.fill_null(blank).to_numpy(zero_copy_only=False).astype(layout.dtype)
    shape = (-1,) if layout.is_variable else (len(column), *layout.shape)
    return values.reshape(shape), mask.reshape(shape)


def find_unused(layout: Layout, low: int | None, high: int | None) -> int | None:
    """Return an integer of a type that is not between two others, to mark what is missing.

    Args:
        layout: Layout with the type.
        low: The lowest integer; None if there is none.
        high: The highest integer; None if there is none.

    Returns:
        The integer; None if there is none, or if `high` is out of range.
    """
    limits = np.iinfo(layout.dtype)
    if (high or 0) > limits.max:
        return None
    candidates = [int(limits.min), int(limits.max)]
    if limits.min == 0:  # a value that measurements have
        candidates.reverse()
    return next((each for each in candidates if each not in (low, high)), None)


def _flatten(column: pa.Array, width: int) -> pa.Array:
    """Return the elements of fixed-size lists; a null list becomes `width` nulls."""
    if not column.null_count:
        return column.flatten()
    is_valid = column.is_valid().to_numpy(zero_copy_only=False)
    places = (np.cumsum(is_valid) - 1)[:, np.newaxis] * width + np.arange(width)
    indices = pa.array(places.ravel(), mask=np.repeat(~is_valid, width))
    return column.filter(column.is_valid()).flatten().take(indices)


def _cast(column: pa.Array, element: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type):
        zone = "" if column.type.tz is None else "Z"
        instants = column.cast(pa.timestamp(column.type.unit, column.type.tz and "UTC"))
        return pc.strftime(instants, f"%Y-%m-%dT%H:%M:%S{zone}")
    return column.cast(element)


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))
