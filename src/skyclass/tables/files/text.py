"""Tables in text files: CSV and its variants."""

import csv
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv as pacsv

from skyclass.errors import CatalogError
from skyclass.tables.files.base import Chunk, no_rows_error, translate_errors
from skyclass.tables.files.layout import Layout, detect_layout
from skyclass.tables.files.utf8 import replace_invalid_utf8

BLOCK_BYTES = 8 << 20
"""Bytes that are parsed at a time, unless few rows are wanted."""
_MIN_BLOCK_BYTES = 1 << 20
_ROW_BYTES = 1024
"""Generous estimate of the size of a row."""

_KIND = "text"


class _Malformed(NamedTuple):
    """A line that is skipped; `row` is the number of rows above it."""

    row: int
    reason: str


class TextTable:
    """A text file with a header and one row per line; quoted fields can contain line breaks."""

    def __init__(
        self,
        name: str,
        open_file: Callable[[], Any],
        encoding: str | None = None,
        skip_malformed: bool = False,
    ) -> None:
        """Prepare a file; nothing is read yet.

        Args:
            name: Name of the file in messages.
            open_file: Opens the decompressed bytes.
            encoding: Encoding of the text; None for the one of a byte order mark, or UTF-8.
            skip_malformed: Whether malformed lines are skipped and reported in chunks, unless all
                lines are, and bytes that are not UTF-8 are replaced. Otherwise the first one is an
                error.
        """
        self.name = name
        self._open_file = open_file
        self._encoding = encoding
        self._skip_malformed = skip_malformed

    @property
    def header(self) -> tuple[str, ...]:
        """Column names as written, without spaces around them."""
        return self._layout.header

    @property
    def schema(self) -> pa.Schema:
        """All columns are text."""
        return pa.schema([pa.field(name, pa.string()) for name in self.header])

    @property
    def hint(self) -> str:
        """Nothing: a text file has one table."""
        return ""

    def read(self, positions: Sequence[int], chunk_rows: int) -> Iterator[Chunk]:
        """Read columns as text, in order."""
        rows = 0
        malformed: list[_Malformed] = []
        pending: list[pa.RecordBatch] = []
        with translate_errors(self.name, _KIND), self._open_file() as file:
            block_bytes = min(BLOCK_BYTES, max(_MIN_BLOCK_BYTES, chunk_rows * _ROW_BYTES))
            for block in self._open_reader(file, positions, malformed, block_bytes):
                if malformed and not self._skip_malformed:
                    raise self._malformed_error()
                rows += block.num_rows
                pending.append(block)
                if sum(part.num_rows for part in pending) >= chunk_rows:
                    # The parser can be a block ahead, as its thread happens to run.
                    above = [line for line in malformed if line.row < rows]
                    del malformed[: len(above)]
                    yield _to_chunk(pending, positions, above)
                    pending.clear()
            if malformed and not (self._skip_malformed and rows):
                raise self._malformed_error()
            if rows == 0:
                raise no_rows_error(self.name)
            if pending or malformed:
                yield _to_chunk(pending, positions, malformed)

    def locate(self, row: int) -> str:
        """Name the line on which a row starts, counted from 1."""
        fields = len(self.header)
        valid = (line for line, found in self._list_records() if found == fields)
        for _ in range(row):
            next(valid)
        return f"line {next(valid)}"

    @cached_property
    def _layout(self) -> Layout:
        with translate_errors(self.name, _KIND):
            return detect_layout(self._open_file, self._encoding, self.name)

    def _open_reader(
        self,
        file: Any,
        positions: Sequence[int],
        malformed: list[_Malformed],
        block_bytes: int,
    ) -> pacsv.CSVStreamingReader:
        skipped = itertools.count(1 + self._layout.lines)

        def skip(row: pacsv.InvalidRow) -> str:
            reason = f"{row.actual_columns} fields, expected {row.expected_columns}"
            malformed.append(_Malformed(row.number - next(skipped), reason))
            return "skip"

        names = [str(position) for position in range(len(self.header))]
        selected = [names[position] for position in positions]
        return pacsv.open_csv(
            file,
            read_options=pacsv.ReadOptions(
                column_names=names,
                skip_rows=self._layout.lines,
                block_size=block_bytes,
                encoding=self._layout.encoding.removesuffix("-sig"),
                # With threads, the parser does not number the malformed lines. Parsing text is as
                # fast on one thread.
                use_threads=False,
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=self._layout.separator,
                newlines_in_values=True,
                invalid_row_handler=skip,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(selected, pa.string()),
                include_columns=selected,
                check_utf8=not self._skip_malformed,
            ),
        )

    def _malformed_error(self) -> CatalogError:
        fields = len(self.header)
        line, found = next(each for each in self._list_records() if each[1] != fields)
        return CatalogError(
            f"{self.name}: line {line} has {found} fields, the header {fields}: correct it"
        )

    def _list_records(self) -> Iterator[tuple[int, int]]:
        """Yield the first line, counted from 1, and the number of fields of each record."""
        layout = self._layout
        with (
            translate_errors(self.name, _KIND),
            io.TextIOWrapper(self._open_file(), layout.encoding, newline="") as text,
        ):
            for _ in range(layout.lines):
                text.readline()
            records = csv.reader(text, delimiter=layout.separator)
            line = layout.lines
            for record in records:
                if record:
                    yield line + 1, len(record)
                line = layout.lines + records.line_num


def _to_chunk(
    blocks: Sequence[pa.RecordBatch], positions: Sequence[int], malformed: Sequence[_Malformed]
) -> Chunk:
    columns = (
        pa.chunked_array([block.column(place) for block in blocks], pa.string())
        for place in range(len(positions))
    )
    texts = tuple(map(replace_invalid_utf8, columns))
    return Chunk(texts, tuple(line.reason for line in malformed))
