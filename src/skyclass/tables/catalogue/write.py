"""Catalogue formats by the suffix of a file."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from skyclass.errors import CatalogError
from skyclass.tables.catalogue import ecsv, fits, votable
from skyclass.tables.catalogue.rows import Content, Rows

Check = Callable[[pa.Schema, Content, str], None]
Write = Callable[[Rows, Content, Path, str], None]


class Format(NamedTuple):
    """A format: how to check that it can hold a table, and how to write one."""

    check: Check
    write: Write


_FORMATS = {
    **dict.fromkeys(fits.SUFFIXES, Format(fits.check_fits, fits.write_fits)),
    **dict.fromkeys(votable.SUFFIXES, Format(votable.check_votable, votable.write_votable)),
    **dict.fromkeys(ecsv.SUFFIXES, Format(ecsv.check_ecsv, ecsv.write_ecsv)),
}
CATALOGUE_SUFFIXES = tuple(_FORMATS)
"""Suffixes of catalogues, in lower case."""


def is_catalogue(path: Path | None) -> bool:
    """Return whether a file is a catalogue by its suffix."""
    return path is not None and path.suffix.lower() in _FORMATS


def check_catalogue(rows: Rows, content: Content, path: Path, name: str) -> None:
    """Check that the format of a file can hold rows; nothing is written.

    Args:
        rows: The rows.
        content: Their summary.
        path: The file, with one of `CATALOGUE_SUFFIXES`.
        name: The rows in error messages.

    Raises:
        CatalogError: The format cannot hold a column, or astropy is not installed.
    """
    try:
        import astropy  # noqa: F401 - the formats import what they need of it when they write
    except ModuleNotFoundError:
        raise CatalogError(
            f"{path}: the package astropy is not installed: install skyclass[formats]"
        ) from None
    _FORMATS[path.suffix.lower()].check(rows.schema, content, name)


def write_catalogue(rows: Rows, content: Content, path: Path, target: Path, name: str) -> None:
    """Write rows in the format of a file.

    Args:
        rows: The rows, which are read once.
        content: Their summary.
        path: The file to write.
        target: The file with the suffix of the format; `path` is renamed to it later.
        name: The rows in error messages.

    Raises:
        CatalogError: The format cannot hold a column.
        OSError: The file cannot be written.
    """
    _FORMATS[target.suffix.lower()].write(rows, content, path, name)
