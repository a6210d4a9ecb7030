"""Files of partitioned tables, whose folders hold the values of some columns."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from skyclass.tables.files.base import Chunk, TableFile


class PartitionedTable:
    """A file of a partitioned table: the columns of the partition follow those of the file."""

    def __init__(self, file: TableFile, partition: Mapping[str, Any]) -> None:
        """Add the columns of a partition to a file.

        Args:
            file: The file.
            partition: Value of each partition column; columns that the file holds are ignored.
        """
        self.name = file.name
        self._file = file
        self._values = {name: value for name, value in partition.items() if name not in file.header}

    @property
    def header(self) -> tuple[str, ...]:
        """Column names of the file and of the partition."""
        return (*self._file.header, *self._values)

    @property
    def schema(self) -> pa.Schema:
        """Columns of the file and of the partition."""
        schema = self._file.schema
        for name, value in self._values.items():
            schema = schema.append(pa.field(name, pa.scalar(value).type))
        return schema

    @property
    def hint(self) -> str:
        """The one of the file."""
        return self._file.hint

    def read(self, positions: Sequence[int], chunk_rows: int) -> Iterator[Chunk]:
        """Read columns in order."""
        width = len(self._file.header)
        values = list(self._values.values())
        stored = [position for position in positions if position < width]
        for chunk in self._file.read(stored, chunk_rows):
            columns = dict(zip(stored, chunk.columns, strict=True))
            for position in positions:
                if position >= width:
                    repeated = pa.repeat(pa.scalar(values[position - width]), chunk.rows)
                    columns[position] = pa.chunked_array([repeated])
            yield Chunk(tuple(columns[position] for position in positions), chunk.malformed)

    def locate(self, row: int) -> str:
        """Name a row of the file."""
        return self._file.locate(row)
