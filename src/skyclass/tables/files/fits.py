"""Tables in FITS files, streamed."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from skyclass.errors import CatalogError
from skyclass.tables.files.base import Chunk, no_rows_error, translate_errors
from skyclass.tables.files.fits_hdus import Hdu, list_hdus, skip_bytes
from skyclass.tables.files.fits_heap import read_arrays
from skyclass.tables.files.fits_layout import FitsColumn, FitsLayout, read_layout
from skyclass.tables.files.fits_values import convert_values

_READ_BYTES = 16 << 20
"""Bytes of rows that are read at a time; it bounds the memory for wide rows."""

_KIND = "FITS"


class FitsTable:
    """A binary or text table of a FITS file. Columns that are not requested are not converted."""

    def __init__(self, name: str, open_file: Callable[[], Any], hdu: str | None = None) -> None:
        """Prepare a file; nothing is read yet.

        Args:
            name: Name of the file in messages.
            open_file: Opens the decompressed bytes.
            hdu: Number from 0, or name, of the HDU with the table; None for the first table.
        """
        self.name = name
        self._open_file = open_file
        self._hdu = hdu

    @property
    def header(self) -> tuple[str, ...]:
        """Column names as written."""
        return tuple(column.name for column in self._layout.columns)

    @cached_property
    def schema(self) -> pa.Schema:
        """Types of the columns, with their units, UCDs and descriptions."""
        layout = self._layout
        fields = [
            pa.field(column.name, self._convert(column, b"", None).type, metadata=column.metadata)
            for column in layout.columns
        ]
        return pa.schema(fields, layout.metadata or None)

    @property
    def hint(self) -> str:
        """The other tables of the file."""
        with translate_errors(self.name, _KIND), self._open_file() as file:
            tables = [hdu for hdu in list_hdus(file, self.name) if hdu.is_table]
        return f"; tables: {_join(tables)}, choose one with `?hdu=…`" if len(tables) > 1 else ""

    def read(self, positions: Sequence[int], chunk_rows: int) -> Iterator[Chunk]:
        """Read columns in order."""
        layout = self._layout
        if layout.rows == 0:
            raise no_rows_error(self.name)
        columns = [layout.columns[position] for position in positions]
        block_rows = max(1, min(chunk_rows, _READ_BYTES // layout.row_bytes))
        pending: list[list[pa.Array]] = []
        rows = done = 0
        with translate_errors(self.name, _KIND), self._open_file() as file:
            skip_bytes(file, 0, layout.start)
            while done < layout.rows:
                expected = min(block_rows, layout.rows - done)
                data = _read_fully(file, expected * layout.row_bytes)
                if len(data) < expected * layout.row_bytes:
                    found = done + len(data) // layout.row_bytes
                    raise CatalogError(
                        f"{self.name}: {found} rows, the header has {layout.rows}: the file is "
                        "truncated"
                    )
                pending.append([self._convert(column, data, file) for column in columns])
                rows, done = rows + expected, done + expected
                if rows >= chunk_rows or done == layout.rows:
                    yield Chunk(tuple(map(pa.chunked_array, zip(*pending, strict=True))))
                    pending, rows = [], 0

    def locate(self, row: int) -> str:
        """Name a row, counted from 1."""
        return f"row {row + 1}"

    def _convert(self, column: FitsColumn, data: bytes, file: Any) -> pa.Array:
        """Convert a column of consecutive rows."""
        layout = self._layout
        row = np.dtype(
            {
                "names": ["value"],
                "formats": [column.dtype],
                "offsets": [column.offset],
                "itemsize": layout.row_bytes,
            }
        )
        stored = np.frombuffer(data, row)["value"]
        if column.is_variable:
            return read_arrays(column, stored, file, layout.heap, self.name)
        return convert_values(column, stored, layout.is_text)

    @cached_property
    def _layout(self) -> FitsLayout:
        tables = []
        with translate_errors(self.name, _KIND), self._open_file() as file:
            for hdu in list_hdus(file, self.name):
                if self._hdu is None:
                    if hdu.is_table:
                        return read_layout(hdu, self.name)
                elif hdu.matches(self._hdu):
                    if hdu.is_table:
                        return read_layout(hdu, self.name)
                    raise CatalogError(
                        f"{self.name}: HDU {hdu} is not a table: choose one with `?hdu=…`"
                    )
                if hdu.is_table:
                    tables.append(hdu)
        if self._hdu is None:
            raise CatalogError(f"{self.name}: no table in the file: check where it came from")
        raise CatalogError(
            f"{self.name}: there is no HDU {self._hdu!r}: choose a table "
            f"({_join(tables) or 'there is none'}) by its number or name"
        )


def _join(hdus: Sequence[Hdu]) -> str:
    return ", ".join(map(str, hdus))


def _read_fully(file: Any, size: int) -> bytes:
    """Read until the size is reached or the file ends; streams can return less at a time."""
    data = file.read(size)
    if len(data) == size or not data:
        return bytes(data)
    parts, missing = [data], size - len(data)
    while missing and (part := file.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
