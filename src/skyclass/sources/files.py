"""CSV and Parquet files in the known dialects, read in batches."""

import codecs
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from skyclass.errors import CatalogError, one_line
from skyclass.sources.base import BATCH_ROWS, NULL_TEXTS, Batch
from skyclass.survey.dialects import Dialect, detect_dialect
from skyclass.survey.observation import ROW_COLUMNS

BLOCK_BYTES = 8 << 20
"""Bytes of a CSV file that are parsed at a time."""

_HEADER_BYTES = 1 << 16
"""Block size for reading the header alone; it must hold the header and one row."""

_COMMENT = b"#"
"""First character of the line that SkyServer writes above the header, such as `#Table1`."""


class FileSource:
    """A CSV or Parquet file on this machine.

    Attributes:
        path: The file.
        name: The address that the file came from.
    """

    def __init__(self, path: Path, name: str) -> None:
        """Check that the file exists and has a known suffix.

        Raises:
            CatalogError: The file is missing or empty, or its suffix is unknown.
        """
        if not path.is_file():
            raise CatalogError(f"{name}: no such file: check the path")
        if path.suffix not in (".csv", ".parquet"):
            raise CatalogError(
                f"{name}: unsupported suffix {path.suffix!r}: convert the file to .csv or .parquet"
            )
        if path.stat().st_size == 0:
            raise CatalogError(f"{name}: the file is empty: check where it came from")
        self.path = path
        self.name = name

    @cached_property
    def watermark_id(self) -> str:
        """The name and a digest of the content; the modification time does not matter."""
        with self._translate_errors(), self.path.open("rb") as file:
            return f"{self.name}#{hashlib.file_digest(file, 'sha256').hexdigest()[:32]}"

    @cached_property
    def dialect(self) -> Dialect:
        """The dialect of the header."""
        with self._translate_errors():
            if self.path.suffix == ".parquet":
                header = pq.read_schema(self.path).names
            else:
                header = self._open_csv(None, [], _HEADER_BYTES).schema.names
        return detect_dialect(header, self.name)

    def read_batches(self, after: int) -> Iterator[Batch]:
        """Read the batches that follow position `after`; malformed lines count as rows.

        Raises:
            CatalogError: The file cannot be parsed, or has no rows.
        """
        position = 0
        for table, malformed in self._read_tables(list(self.dialect.columns)):
            position += table.num_rows + len(malformed)
            if position > after:
                yield Batch(self._to_rows(table), position, malformed)
        if position == 0:
            raise CatalogError(f"{self.name}: no rows below the header: check where it came from")

    def _to_rows(self, table: pa.Table) -> pa.Table:
        """Rename the columns, decode the classes, and add the data release."""
        names = self.dialect.columns
        rows = table.rename_columns([names[name] for name in table.column_names])
        classes = self._decode_classes(rows["class"])
        rows = rows.set_column(rows.column_names.index("class"), "class", classes)
        if self.dialect.data_release is not None:
            release = pa.repeat(pa.scalar(self.dialect.data_release), rows.num_rows)
            rows = rows.append_column("release", release)
        return rows.select(ROW_COLUMNS)

    def _decode_classes(self, column: pa.ChunkedArray) -> pa.Array:
        encoded = column.combine_chunks().dictionary_encode()
        names = [self.dialect.decode_class(value) for value in encoded.dictionary.to_pylist()]
        return pa.array(names, pa.string()).take(encoded.indices)

    def _read_tables(self, columns: list[str]) -> Iterator[tuple[pa.Table, tuple[str, ...]]]:
        """Read `BATCH_ROWS` rows at a time, with the reasons of malformed lines among them."""
        with self._translate_errors():
            if self.path.suffix == ".parquet":
                for batch in pq.ParquetFile(self.path).iter_batches(BATCH_ROWS, columns=columns):
                    yield pa.Table.from_batches([batch]), ()
                return
            malformed: list[str] = []
            blocks: list[pa.RecordBatch] = []
            reader = self._open_csv(columns, malformed)
            for block in reader:
                blocks.append(block)
                if sum(block.num_rows for block in blocks) >= BATCH_ROWS:
                    yield pa.Table.from_batches(blocks), tuple(malformed)
                    blocks.clear()
                    malformed.clear()
            if blocks or malformed:
                yield pa.Table.from_batches(blocks, reader.schema), tuple(malformed)

    def _open_csv(
        self, columns: list[str] | None, malformed: list[str], block_bytes: int = BLOCK_BYTES
    ) -> pacsv.CSVStreamingReader:
        def skip(row: pacsv.InvalidRow) -> str:
            malformed.append(f"{row.actual_columns} fields, expected {row.expected_columns}")
            return "skip"

        with self.path.open("rb") as file:
            start = file.read(len(codecs.BOM_UTF8 + _COMMENT))
        has_comment = start.removeprefix(codecs.BOM_UTF8).startswith(_COMMENT)
        return pacsv.open_csv(
            self.path,
            read_options=pacsv.ReadOptions(
                skip_rows=int(has_comment),
                block_size=block_bytes,
                # Threads prefetch as many blocks as there are cores, so the batch of a malformed
                # line, and with it the position, would depend on the machine. Parsing text is as
                # fast on one thread.
                use_threads=False,
            ),
            parse_options=pacsv.ParseOptions(invalid_row_handler=skip),
            convert_options=pacsv.ConvertOptions(
                # All columns are read as text, so that one bad value rejects its row, not the file.
                column_types=dict.fromkeys(columns or [], pa.string()),
                include_columns=columns,
                strings_can_be_null=True,
                null_values=list(NULL_TEXTS),
            ),
        )

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise CatalogError(
                f"{self.name}: not readable as {self.path.suffix[1:]} ({one_line(error)}): "
                "check where it came from"
            ) from error
