"""Files of observations, read in batches."""

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from skyclass.sources.base import BATCH_ROWS, Batch
from skyclass.survey.dialects import Dialect, detect_dialect
from skyclass.survey.observation import OBSERVATION_COLUMNS, OPTIONAL_COLUMNS, ROW_COLUMNS
from skyclass.tables.files import (
    Chunk,
    Options,
    decode_labels,
    find_columns,
    is_dereddened,
    open_table,
    parse_classes,
)


class FileSource:
    """A file on this machine.

    Attributes:
        path: The file.
        name: The address that the file came from.
    """

    def __init__(self, path: Path, name: str, options: Options = Options()) -> None:
        """Check that the file exists and can be a table.

        Args:
            path: The file.
            name: The address that it came from.
            options: Its encoding, its table, its columns and the meaning of its class codes.

        Raises:
            CatalogError: The file is missing or empty, its suffix is unknown, or an option is
                malformed.
        """
        self.path = path
        self.name = name
        self._table = open_table(
            str(path), name, encoding=options.encoding, skip_malformed=True, hdu=options.hdu
        )
        self._names = options.columns
        self._codes = parse_classes(options.classes, name) if options.classes else {}

    @cached_property
    def watermark_id(self) -> str:
        """The name and a digest of the content; the modification time does not matter."""
        with self.path.open("rb") as file:
            return f"{self.name}#{hashlib.file_digest(file, 'sha256').hexdigest()[:32]}"

    @cached_property
    def dialect(self) -> Dialect:
        """The dialect of the header."""
        return detect_dialect([*self._table.header, *self._names], self.name)

    @cached_property
    def columns(self) -> dict[str, int]:
        """The position of each column that is read, by our name."""
        release = [] if self.dialect.data_release else ["release"]
        return find_columns(
            self._table,
            [*OBSERVATION_COLUMNS, *release],
            OPTIONAL_COLUMNS,
            {**self.dialect.aliases, **self._names},
        )

    def read_batches(self, after: int) -> Iterator[Batch]:
        """Read the batches that follow position `after`; malformed lines count as rows.

        Raises:
            CatalogError: The file cannot be parsed, lacks a column, has no rows, all of its lines
                are malformed, or its classes are numbers without a meaning.
        """
        position = 0
        for chunk in self._table.read(list(self.columns.values()), BATCH_ROWS):
            position += chunk.rows + len(chunk.malformed)
            if position > after:
                yield self._to_batch(chunk, position)

    def _to_batch(self, chunk: Chunk, position: int) -> Batch:
        """Name the columns, decode the classes, and add the data release."""
        columns = dict(zip(self.columns, chunk.columns, strict=True))
        codes = {**self.dialect.class_codes, **self._codes}
        columns["class"], coded = decode_labels(columns["class"], codes, self.name)
        if self.dialect.data_release is not None:
            columns["release"] = pa.repeat(pa.scalar(self.dialect.data_release), chunk.rows)
        if is_dereddened(self._table, self.columns):
            columns["extinction_r"] = pa.repeat(pa.scalar(0.0), chunk.rows)
        names = [*ROW_COLUMNS, *(name for name in OPTIONAL_COLUMNS if name in columns)]
        rows = pa.table([columns[name] for name in names], names)
        return Batch(rows, position, chunk.malformed, coded)
