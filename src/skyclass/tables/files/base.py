"""The interface of a table in a file."""

import csv
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from skyclass.errors import CatalogError, one_line


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of a table.

    Attributes:
        columns: The requested columns in the requested order, all of one length.
        malformed: One reason for each line among the rows that has more or fewer fields than the
            header.
    """

    columns: tuple[pa.ChunkedArray, ...]
    malformed: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows, without the malformed lines."""
        return len(self.columns[0])


class TableFile(Protocol):
    """A table whose columns are identified by their position.

    Text files return every value as text, unchanged; other files return the stored types.
    """

    @property
    def name(self) -> str:
        """Name of the file in messages."""

    @property
    def header(self) -> tuple[str, ...]:
        """Column names as written; they can be empty or occur twice.

        Raises:
            CatalogError: The file cannot be read.
        """

    @property
    def schema(self) -> pa.Schema:
        """Types and facts of the columns, in the order of `header`.

        Metadata of a field are its `unit`, `ucd` and `description` and further facts of its format;
        metadata of the schema are the `name` and `description` of the table, and `meta`, the other
        facts of the file as a JSON object.

        Raises:
            CatalogError: The file cannot be read.
        """

    @property
    def hint(self) -> str:
        """Where else a missing column can be, as an addition to an error; empty if nowhere."""

    def read(self, positions: Sequence[int], chunk_rows: int) -> Iterator[Chunk]:
        """Read columns in order.

        Args:
            positions: Positions in `header`, at least one.
            chunk_rows: Number of rows from which a chunk is complete.

        Raises:
            CatalogError: The file cannot be parsed, or has no rows.
        """

    def locate(self, row: int) -> str:
        """Name a row as an editor counts it, for example `line 18`.

        Args:
            row: Position among the rows that are not malformed, from 0.
        """


def no_rows_error(name: str) -> CatalogError:
    """Return the error for a table without rows."""
    return CatalogError(f"{name}: no rows below the header: check where it came from")


_ERRORS = (
    pa.ArrowException,
    OSError,
    EOFError,
    NotImplementedError,  # a compression method of a zip archive
    csv.Error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def translate_errors(name: str, kind: str) -> Iterator[None]:
    """Translate the errors of opening, decompressing, decoding and parsing a file.

    Raises:
        CatalogError: The file cannot be read as its kind.
    """
    try:
        yield
    except FileNotFoundError:
        raise CatalogError(f"{name}: no such file: check the path") from None
    except UnicodeError as error:
        raise CatalogError(
            f"{name}: not {kind} ({one_line(error)}): declare its encoding, for example "
            "`?encoding=latin-1`"
        ) from error
    except _ERRORS as error:
        raise CatalogError(
            f"{name}: not readable as {kind} ({one_line(error)}): check where it came from"
        ) from error
