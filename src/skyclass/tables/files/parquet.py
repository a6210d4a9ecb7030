"""Tables in Parquet files."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from skyclass.tables.files.base import Chunk, no_rows_error, translate_errors
from skyclass.tables.files.utf8 import replace_invalid_utf8

_BUFFER_BYTES = 1 << 20
_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")


class ParquetTable:
    """A Parquet file, or some of its row groups.

    An index that pandas stored without a name is not a column of the table; a named one is.
    """

    def __init__(
        self,
        name: str,
        open_file: Callable[[], Any],
        row_groups: Sequence[int] | None = None,
    ) -> None:
        """Prepare a file; nothing is read yet.

        Args:
            name: Name of the file in messages.
            open_file: Opens it for random access.
            row_groups: Indices of the row groups to read; None for all.
        """
        self.name = name
        self._open_file = open_file
        self._row_groups = row_groups

    @cached_property
    def header(self) -> tuple[str, ...]:
        """Column names as stored."""
        return tuple(self._stored[position] for position in self._positions)

    @cached_property
    def schema(self) -> pa.Schema:
        """Types and metadata of the columns as stored."""
        with translate_errors(self.name, "Parquet"):
            stored = self._metadata.schema.to_arrow_schema()
        metadata = dict(stored.metadata or {})
        metadata.pop(b"pandas", None)  # it names the index, which is not a column
        fields = [stored.field(position) for position in self._positions]
        return pa.schema(fields, metadata or None)

    @property
    def hint(self) -> str:
        """Nothing: a Parquet file has one table."""
        return ""

    def read(self, positions: Sequence[int], chunk_rows: int) -> Iterator[Chunk]:
        """Read columns in order."""
        stored = [self._positions[position] for position in positions]
        names, selected = None, list(range(len(self._stored)))
        if len(set(self._stored)) == len(self._stored):  # otherwise a name selects two columns
            selected = sorted(set(stored))
            names = [self._stored[position] for position in selected]
        places = [selected.index(position) for position in stored]
        if self._metadata.num_rows == 0:
            raise no_rows_error(self.name)
        with translate_errors(self.name, "Parquet"), self._open_file() as file:
            parquet = pq.ParquetFile(file, metadata=self._metadata, buffer_size=_BUFFER_BYTES)
            for batch in parquet.iter_batches(chunk_rows, self._row_groups, names):
                columns = (pa.chunked_array([batch.column(place)]) for place in places)
                yield Chunk(tuple(map(replace_invalid_utf8, columns)))

    def locate(self, row: int) -> str:
        """Name a row, counted from 1."""
        return f"row {row + 1}"

    def list_row_groups(self) -> list[int]:
        """Return the number of rows of each row group of the file."""
        groups = range(self._metadata.num_row_groups)
        return [self._metadata.row_group(index).num_rows for index in groups]

    @cached_property
    def _metadata(self) -> Any:
        """The footer of the file, which is read once."""
        with translate_errors(self.name, "Parquet"), self._open_file() as file:
            return pq.read_metadata(file)

    @cached_property
    def _stored(self) -> tuple[str, ...]:
        with translate_errors(self.name, "Parquet"):
            return tuple(self._metadata.schema.to_arrow_schema().names)

    @property
    def _positions(self) -> list[int]:
        names = enumerate(self._stored)
        return [position for position, name in names if not _UNNAMED_INDEX.fullmatch(name)]
