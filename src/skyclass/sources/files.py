"""CSV and Parquet files in the public dialects, read in batches."""

import codecs
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from skyclass.errors import CatalogError
from skyclass.sources.base import BATCH_ROWS, Batch
from skyclass.survey.dialects import CLASS_CODES, Dialect, recognise

BLOCK_BYTES = 8 << 20
"""Bytes of a CSV file that are split into fields at a time."""

_HEADER_BYTES = 1 << 16
"""Enough for a header and a row."""

_TEXT = {pa.string(): pd.ArrowDtype(pa.string())}

_COMMENT = b"#"
"""SkyServer puts a line like `#Table1` above the header of its CSV answers."""


class FileSource:
    """One CSV or Parquet file on this machine."""

    def __init__(self, path: Path, name: str) -> None:
        """Look at the file from outside.

        Args:
            path: The file.
            name: What the rows' `source` column says: the address that the file came from.

        Raises:
            CatalogError: There is no such file, it is of another kind, or it is empty.
        """
        if not path.is_file():
            raise CatalogError(f"{name}: no such file: check the path")
        if path.suffix not in (".csv", ".parquet"):
            raise CatalogError(f"{name}: neither .csv nor .parquet: convert it to one of them")
        if path.stat().st_size == 0:
            raise CatalogError(f"{name}: the file is empty: check where it came from")
        self.path = path
        self.name = name

    @cached_property
    def watermark_id(self) -> str:
        """Name and content: a file that was touched or fetched anew is the same, a changed not."""
        with self._readable(), self.path.open("rb") as file:
            return f"{self.name}#{hashlib.file_digest(file, 'sha256').hexdigest()[:32]}"

    @cached_property
    def dialect(self) -> Dialect:
        """The dialect that the header is written in."""
        with self._readable():
            if self.path.suffix == ".parquet":
                header = pq.read_schema(self.path).names
            else:
                header = self._open_csv(None, [], _HEADER_BYTES).schema.names
        return recognise(header, self.name)

    def read_batches(self, after: int) -> Iterator[Batch]:
        """Read the batches that follow position `after`, which counts torn lines as well.

        Raises:
            CatalogError: The file is not what its suffix says, or holds no row.
        """
        wanted = {column: ours for ours, column in self.dialect.columns.items()}
        position = 0
        for table, torn in self._tables(list(wanted)):
            position += table.num_rows + len(torn)
            if position <= after:
                continue
            rows = table.rename_columns([wanted[name] for name in table.column_names])
            names = _class_names(rows["class"])
            rows = rows.set_column(rows.column_names.index("class"), "class", names)
            if self.dialect.release is not None:
                rows = rows.append_column(
                    "release", pa.repeat(pa.scalar(self.dialect.release), rows.num_rows)
                )
            # Text stays Arrow's: an object a field would cost more than all that follows.
            yield Batch(rows.to_pandas(types_mapper=_TEXT.get), position, torn)
        if position == 0:
            raise CatalogError(f"{self.name}: a header without rows: check where it came from")

    def _tables(self, columns: list[str]) -> Iterator[tuple[pa.Table, tuple[str, ...]]]:
        """The named columns, `BATCH_ROWS` at a time, each with the lines that had to be left."""
        with self._readable():
            if self.path.suffix == ".parquet":
                for batch in pq.ParquetFile(self.path).iter_batches(BATCH_ROWS, columns=columns):
                    yield pa.Table.from_batches([batch]), ()
                return
            torn: list[str] = []
            blocks: list[pa.RecordBatch] = []
            reader = self._open_csv(columns, torn)
            for block in reader:
                blocks.append(block)
                if sum(block.num_rows for block in blocks) >= BATCH_ROWS:
                    yield pa.Table.from_batches(blocks), tuple(torn)
                    blocks.clear()
                    torn.clear()
            if blocks or torn:
                yield pa.Table.from_batches(blocks, reader.schema), tuple(torn)

    def _open_csv(
        self, columns: list[str] | None, torn: list[str], block_bytes: int = BLOCK_BYTES
    ) -> pacsv.CSVStreamingReader:
        def leave(row: pacsv.InvalidRow) -> str:
            torn.append(f"{row.actual_columns} fields where the header has {row.expected_columns}")
            return "skip"

        with self.path.open("rb") as file:
            start = file.read(len(codecs.BOM_UTF8 + _COMMENT))
        commented = start.removeprefix(codecs.BOM_UTF8).startswith(_COMMENT)
        return pacsv.open_csv(
            self.path,
            read_options=pacsv.ReadOptions(
                skip_rows=int(commented),
                block_size=block_bytes,
                # Threads read ahead as far as there are cores, so a torn line's batch, and with it
                # the position, would depend on the machine. One thread is as fast on text.
                use_threads=False,
            ),
            parse_options=pacsv.ParseOptions(invalid_row_handler=leave),
            convert_options=pacsv.ConvertOptions(
                # All is read as text: one bad value must cost its row, not the whole file.
                column_types=dict.fromkeys(columns or [], pa.string()),
                include_columns=columns,
                strings_can_be_null=True,
                null_values=["", "null", "NULL", "nan", "NaN"],
            ),
        )

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = str(error).splitlines()[0]
            raise CatalogError(
                f"{self.name}: not readable as {self.path.suffix[1:]} ({reason}): "
                "check where it came from"
            ) from error


def _class_names(column: pa.ChunkedArray) -> pa.Array:
    """Names of the classes, each looked up once."""
    coded = column.combine_chunks().dictionary_encode()
    names = [_class_name(value) for value in coded.dictionary.to_pylist()]
    return pa.array(names, pa.string()).take(coded.indices)


def _class_name(value: object) -> str:
    text = str(value).strip().removesuffix(".0")  # whole numbers beside a null become floats
    return CLASS_CODES.get(text, text)
