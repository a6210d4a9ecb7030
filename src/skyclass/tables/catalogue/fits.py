"""FITS binary tables, written row by row.

All rows have one size, which is known after the rows were read once: texts have the width of the
longest one, and missing integers a value that no row has (TNULL). Missing floating-point numbers
are NaN, missing texts are empty, and missing booleans are neither T nor F. FITS stores unsigned
integers with an offset (TZERO), which astropy does not apply to TNULL; they are stored as wider
signed integers if a value is missing, and in lists. So are signed bytes, which astropy reads as
floats otherwise.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyclass.errors import CatalogError
from skyclass.tables.catalogue.checksum import Checksum, encode_checksum
from skyclass.tables.catalogue.fields import list_layouts
from skyclass.tables.catalogue.fits_header import MAX_NAME_CHARACTERS, make_headers
from skyclass.tables.catalogue.layout import WIDER, Layout, find_unused, to_arrays
from skyclass.tables.catalogue.rows import Content, Rows, Summary

NAME = "FITS"
SUFFIXES = (".fits", ".fit", ".fts")
_BLOCK_BYTES = 2880
_COPIED_BYTES = 1 << 20
_CODES = {
    pa.bool_(): "L",
    pa.uint8(): "B",
    pa.int16(): "I",
    pa.uint16(): "I",
    pa.int32(): "J",
    pa.uint32(): "J",
    pa.int64(): "K",
    pa.uint64(): "K",
    pa.float32(): "E",
    pa.float64(): "D",
    pa.string(): "A",
}
_STORED = {"L": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}


@dataclass(frozen=True)
class Column:
    """A column as FITS stores it.

    Attributes:
        layout: Its layout.
        width: Bytes of each text; 1 for other elements.
        longest: Number of elements of the longest row.
        null: The integer that marks missing elements; None if there are none.
    """

    layout: Layout
    width: int = 1
    longest: int = 0
    null: int | None = None

    @property
    def code(self) -> str:
        """Letter of the type in TFORM."""
        return _CODES[self.layout.element]

    @property
    def zero(self) -> int:
        """What is added to stored integers (TZERO)."""
        is_unsigned = pa.types.is_unsigned_integer(self.layout.element)
        return 2 ** (self.layout.dtype.itemsize * 8 - 1) if is_unsigned and self.code != "B" else 0

    @property
    def element(self) -> np.dtype[Any]:
        """NumPy type of a stored element."""
        return np.dtype(f"S{self.width}" if self.layout.is_text else _STORED[self.code])

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy type of a row: its elements, or the size and the position of a list (bytes)."""
        return np.dtype(
            (">i8", 2) if self.layout.is_variable else (self.element, self.layout.shape)
        )

    def encode(self, column: pa.Array, heap: BinaryIO) -> npt.NDArray[Any]:
        """Convert values to what is stored.

        Args:
            column: The values.
            heap: Where lists of any length are written.

        Returns:
            An array of shape (n,) of type `dtype`.
        """
        elements = self._encode_elements(column).astype(self.element, copy=False)
        if not self.layout.is_variable:
            return elements
        sizes = self.layout.find_sizes(column)
        starts = heap.tell() + (np.cumsum(sizes) - sizes) * self.element.itemsize
        heap.write(elements.tobytes())
        return np.stack([sizes, starts], axis=1)

    def _encode_elements(self, column: pa.Array) -> npt.NDArray[Any]:
        values, is_missing = to_arrays(column, self.layout)
        if self.layout.element == pa.bool_():
            return np.where(is_missing, 0, np.where(values, ord("T"), ord("F")))
        if self.null is not None:
            return np.where(is_missing, np.array(self.null, values.dtype), values)
        if not self.zero:
            return values
        # Subtracting 2^(n-1) flips the sign bit, in two's complement without an overflow.
        flipped = values ^ values.dtype.type(self.zero)
        return flipped.view(values.dtype.str.replace("u", "i"))


def plan_columns(schema: pa.Schema, content: Content, name: str) -> list[Column]:
    """Plan how the columns of a table are stored.

    Args:
        schema: The columns.
        content: Summary of the rows.
        name: The table in error messages.

    Raises:
        CatalogError: FITS cannot hold a column, or its name.
    """
    columns = []
    for position, layout in enumerate(list_layouts(schema, NAME, name)):
        label, summary = schema.names[position], content.columns[position]
        if not (label.isascii() and label.isprintable()) or len(label) > MAX_NAME_CHARACTERS:
            raise CatalogError(
                f"{name}: column {label!r} has a name that FITS cannot hold (ASCII, at most "
                f"{MAX_NAME_CHARACTERS} characters): rename it, or choose an output file that "
                "ends with .vot"
            )
        columns.append(_plan_column(layout, summary, f"{name}: column {label}"))
    return columns


def _plan_column(layout: Layout, summary: Summary, label: str) -> Column:
    if layout.is_text:
        if layout.is_variable:
            raise CatalogError(
                f"{label} has lists of texts, which {NAME} cannot hold: choose an output file that "
                "ends with .parquet"
            )
        if not summary.is_ascii or summary.has_controls:
            raise CatalogError(
                f"{label} has texts that are not plain ASCII, which {NAME} cannot hold: choose an "
                "output file that ends with .vot"
            )
        return Column(layout, width=max(summary.width, 1))
    if not layout.is_integer:
        return Column(layout, longest=summary.longest)
    if layout.element == pa.int8() or layout.is_variable or summary.has_nulls:
        layout = layout.with_element(WIDER.get(layout.element, layout.element))
    null = find_unused(layout, summary.low, summary.high) if summary.has_nulls else None
    is_unmarked = summary.has_nulls and (layout.is_variable or null is None)  # as astropy reads it
    if is_unmarked or (summary.high or 0) > np.iinfo(layout.dtype).max:
        raise CatalogError(
            f"{label} has missing integers in lists, or integers at the limits of 64 bits in lists "
            f"or beside missing ones, which {NAME} cannot hold: choose an output file that ends "
            "with .ecsv"
        )
    return Column(layout, longest=summary.longest, null=null)


def check_fits(schema: pa.Schema, content: Content, name: str) -> None:
    """Check that FITS can hold a table; see `plan_columns`."""
    plan_columns(schema, content, name)


def write_fits(rows: Rows, content: Content, path: Path, name: str) -> None:
    """Write a FITS file with a checksum, a batch of rows at a time.

    Args:
        rows: The rows.
        content: Their summary.
        path: The file to write.
        name: The table in error messages.

    Raises:
        CatalogError: FITS cannot hold a column.
        OSError: The file cannot be written.
    """
    columns = plan_columns(rows.schema, content, name)
    dtype = np.dtype([(f"f{place}", column.dtype) for place, column in enumerate(columns)])
    primary, header = make_headers(rows.schema, columns, content.rows, dtype.itemsize)
    checksum = Checksum()
    with path.open("wb") as file, TemporaryFile() as heap:
        file.write(primary.tostring().encode("ascii"))
        start = file.tell()
        file.write(header.tostring().encode("ascii"))
        for batch in rows.read():
            records = np.zeros(batch.num_rows, dtype)
            for place, column in enumerate(columns):
                records[f"f{place}"] = column.encode(batch.column(place), heap)
            checksum.add(records.tobytes())
            file.write(records.tobytes())
        header["PCOUNT"] = heap.tell()
        heap.seek(0)
        while part := heap.read(_COPIED_BYTES):
            checksum.add(part)
            file.write(part)
        padding = bytes(-(content.rows * dtype.itemsize + header["PCOUNT"]) % _BLOCK_BYTES)
        checksum.add(padding)
        file.write(padding)
        header["DATASUM"] = str(checksum.value)
        checksum.add(header.tostring().encode("ascii"))
        header["CHECKSUM"] = encode_checksum(checksum.value)
        file.seek(start)
        file.write(header.tostring().encode("ascii"))
