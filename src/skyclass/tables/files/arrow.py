"""Tables in memory."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import pyarrow as pa

from skyclass.tables.files.base import Chunk, no_rows_error


class ArrowTable:
    """A table in memory."""

    def __init__(self, name: str, load: Callable[[], pa.Table]) -> None:
        """Prepare a table; nothing is loaded yet.

        Args:
            name: Name of the table in messages.
            load: Returns the rows; the schema has the metadata of `TableFile.schema`.
        """
        self.name = name
        self._load = load

    @property
    def header(self) -> tuple[str, ...]:
        """Column names as written."""
        return tuple(self._rows.column_names)

    @property
    def schema(self) -> pa.Schema:
        """Types of the columns, with their units, UCDs and descriptions."""
        return self._rows.schema

    @property
    def hint(self) -> str:
        """Nothing: a missing column is nowhere else."""
        return ""

    def read(self, positions: Sequence[int], chunk_rows: int) -> Iterator[Chunk]:
        """Read columns in order."""
        rows = self._rows
        if rows.num_rows == 0:
            raise no_rows_error(self.name)
        for start in range(0, rows.num_rows, chunk_rows):
            part = rows.slice(start, chunk_rows)
            yield Chunk(tuple(part.column(position) for position in positions))

    def locate(self, row: int) -> str:
        """Name a row, counted from 1."""
        return f"row {row + 1}"

    @cached_property
    def _rows(self) -> pa.Table:
        return self._load()
