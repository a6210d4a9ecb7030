"""Open a table by the suffix of its name, whatever its compression."""

import lzma
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
from pyarrow import fs

from skyclass.errors import CatalogError
from skyclass.tables.files.base import TableFile
from skyclass.tables.files.parquet import ParquetTable
from skyclass.tables.files.text import TextTable

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
PARQUET_SUFFIXES = (".parquet", ".pq")
FITS_SUFFIXES = (".fits", ".fit", ".fts")
IN_MEMORY_SUFFIXES = {
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
    ".ecsv": "ascii.ecsv",
    ".tbl": "ascii.ipac",
}
"""astropy's name of the format of each suffix."""
_HDU_SUFFIXES = (*FITS_SUFFIXES, ".vot", ".votable", ".xml")
_STREAM_SUFFIXES = (*TEXT_SUFFIXES, *FITS_SUFFIXES, *IN_MEMORY_SUFFIXES)
_ENCRYPTED = 1
"""Flag of a member of a zip archive."""


def open_table(
    path: str,
    name: str,
    filesystem: fs.FileSystem | None = None,
    encoding: str | None = None,
    skip_malformed: bool = False,
    hdu: str | None = None,
) -> TableFile:
    """Open a table in a file.

    Args:
        path: Path of the file. Suffixes count in any case; all but Parquet may be compressed.
        name: Name of the file in messages.
        filesystem: Where the file is; None for this machine.
        encoding: Encoding of a text file; None for the one of a byte order mark, or UTF-8.
        skip_malformed: Whether malformed lines of a text file are skipped and reported in chunks.
            Otherwise the first one is an error.
        hdu: Number or name of the table of a FITS or VOTable file; None for the first.

    Raises:
        CatalogError: The file is missing or empty, its suffix or the encoding is unknown, an option
            does not apply to it, or the package for its format is not installed.
    """
    filesystem = filesystem or fs.LocalFileSystem()
    info = filesystem.get_file_info(path)
    if info.type is not fs.FileType.File:
        raise CatalogError(f"{name}: no such file: check the path")
    suffixes = [suffix.lower() for suffix in PurePosixPath(path).suffixes]
    compression = _DECOMPRESSORS.get(suffixes[-1]) if suffixes else None
    suffix = "".join(suffixes[-2:-1] if compression else suffixes[-1:])
    if suffix not in _STREAM_SUFFIXES and (compression or suffix not in PARQUET_SUFFIXES):
        raise CatalogError(
            f"{name}: unsupported suffix {''.join(suffixes[-1:])!r}: convert the file to .csv, "
            ".fits or .parquet"
        )
    if info.size == 0:
        raise CatalogError(f"{name}: the file is empty: check where it came from")
    for option, value, kinds in (
        ("encoding", encoding, TEXT_SUFFIXES),
        ("hdu", hdu, _HDU_SUFFIXES),
    ):
        if value is not None and suffix not in kinds:
            raise CatalogError(
                f"{name}: the option {option} does not apply to {suffix} files: remove it"
            )
    open_bytes = partial(filesystem.open_input_file, path)
    if suffix in PARQUET_SUFFIXES:
        return ParquetTable(name, open_bytes)
    if compression:
        open_bytes = partial(compression, open_bytes, name)
    if suffix in FITS_SUFFIXES or suffix in IN_MEMORY_SUFFIXES:
        return _open_with_astropy(name, open_bytes, suffix, hdu)
    if encoding is not None:
        _check_encoding(encoding, name)
    return TextTable(name, open_bytes, encoding, skip_malformed)


def _open_with_astropy(
    name: str, open_bytes: Callable[[], Any], suffix: str, hdu: str | None
) -> TableFile:
    """Open a format whose modules import astropy, which is not everywhere installed."""
    try:
        if suffix in FITS_SUFFIXES:
            from skyclass.tables.files.fits import FitsTable

            return FitsTable(name, open_bytes, hdu)
        from skyclass.tables.files.in_memory import InMemoryTable

        return InMemoryTable(name, open_bytes, IN_MEMORY_SUFFIXES[suffix], hdu)
    except ModuleNotFoundError as error:
        raise CatalogError(
            f"{name}: the package {error.name} is not installed: install skyclass[formats]"
        ) from error


def _check_encoding(encoding: str, name: str) -> None:
    try:
        "".encode(encoding)
    except LookupError:
        raise CatalogError(
            f"{name}: unknown encoding {encoding!r}: use for example utf-8, utf-16 or latin-1"
        ) from None


def _open_compressed(codec: str, open_bytes: Callable[[], Any], name: str) -> Any:
    return pa.CompressedInputStream(open_bytes(), codec)


def _open_xz(open_bytes: Callable[[], Any], name: str) -> Any:
    return lzma.open(open_bytes())


def _open_zip(open_bytes: Callable[[], Any], name: str) -> Any:
    with zipfile.ZipFile(open_bytes()) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise CatalogError(
                f"{name}: the archive has {len(members)} files, expected one: extract it"
            )
        if members[0].flag_bits & _ENCRYPTED:
            raise CatalogError(f"{name}: the archive is encrypted: extract it")
        return archive.open(members[0])


_DECOMPRESSORS: dict[str, Callable[..., Any]] = {
    ".gz": partial(_open_compressed, "gzip"),
    ".bz2": partial(_open_compressed, "bz2"),
    ".zst": partial(_open_compressed, "zstd"),
    ".xz": _open_xz,
    ".zip": _open_zip,
}
"""Opens the decompressed bytes of a file, by its last suffix."""

SUFFIXES = (*_STREAM_SUFFIXES, *PARQUET_SUFFIXES, *_DECOMPRESSORS)
"""Last suffixes of the files that can be opened, in lower case."""
