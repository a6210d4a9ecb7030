"""Inputs of batch scoring: the observations table, other Delta tables, and users' files.

An input is split into immutable pieces; those of Parquet have about a million rows. A watermark
per piece and release records how many of its rows have been scored, so retries, later runs and runs
with another number of shards continue from there.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from pyarrow import fs

from skyclass.errors import CatalogError
from skyclass.proxies import find_proxy
from skyclass.settings import Settings
from skyclass.storage.delta_errors import is_connection_error, shorten_report
from skyclass.storage.delta_options import make_storage_options
from skyclass.storage.s3 import unreachable_error
from skyclass.tables import OBSERVATIONS_URI
from skyclass.tables.files import (
    TABLE_OPTIONS,
    Options,
    TableFile,
    open_table,
    parse_classes,
    split_options,
)
from skyclass.tables.files.parquet import ParquetTable
from skyclass.tables.files.partition import PartitionedTable
from skyclass.tables.observations import SPEC
from skyclass.urls import normalize_scheme, omit_credentials

PIECE_ROWS = 1_000_000
"""Minimum number of rows of a piece, unless its file ends earlier."""


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of a file, scored in order.

    Attributes:
        id: Unique for the content: a changed file has other pieces.
        path: Path of the file.
        row_groups: Indices of the Parquet row groups of the piece; None for a whole file.
        partition: Values of the partition columns, which the file does not hold.
    """

    id: str
    path: str
    row_groups: tuple[int, ...] | None = None
    partition: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Input:
    """A snapshot of an input.

    Attributes:
        uri: Address of the input; for a Delta table it includes the version.
        pieces: All pieces, in a stable order.
        filesystem: The Arrow file system of the files.
        endpoint: URL of the object store, for error messages.
        encoding: Encoding of text files, if it was given.
        codes: Class of each class code, if it was given.
        hdu: Table of FITS and VOTable files, if it was given.
        columns: The file's name of each column that was named.
    """

    uri: str
    pieces: tuple[Piece, ...]
    filesystem: Any
    endpoint: str
    encoding: str | None = None
    codes: Mapping[str, str] = field(default_factory=dict)
    hdu: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    def open_piece(self, piece: Piece) -> TableFile:
        """Open the file of a piece.

        Raises:
            CatalogError: The file is missing, or cannot be a table.
        """
        if piece.row_groups is None:
            return open_table(piece.path, self.uri, self.filesystem, self.encoding, hdu=self.hdu)
        open_file = partial(self.filesystem.open_input_file, piece.path)
        table = ParquetTable(self.uri, open_file, piece.row_groups)
        return PartitionedTable(table, piece.partition) if piece.partition else table


def open_input(settings: Settings, uri: str) -> Input:
    """Open the input at an address.

    Args:
        settings: Location of the object store.
        uri: `table:` for the observations table, or the s3:// address or path of a Delta table, a
            file, or a folder of Parquet files. For a Delta table, `?version=…` selects a version;
            the default is the newest. `?classes=…` gives the meaning of class codes,
            `?encoding=…` the encoding of a text file, `?hdu=…` the table of a FITS or VOTable file,
            and `?z=psfMag_z` the column of an input.

    Raises:
        CatalogError: There is no Delta table and no file at the address, or an option is malformed
            or does not apply to it.
        StoreError: The object store is unreachable.
    """
    uri = normalize_scheme(uri)
    base_uri, options = split_options(uri, TABLE_OPTIONS)
    with translate_errors(uri, settings.endpoint_url):
        if base_uri == OBSERVATIONS_URI:
            address = f"s3://{settings.data_bucket}/{SPEC.prefix}"
            return _open_delta(settings, uri, base_uri, address, options)
        filesystem = _open_filesystem(settings, base_uri)
        info = filesystem.get_file_info(re.sub(r"^(s3|file)://", "", base_uri))
        if info.type is fs.FileType.Directory:
            if DeltaTable.is_deltatable(base_uri, make_storage_options(settings)):
                return _open_delta(settings, uri, base_uri, base_uri, options)
            pieces = _split_folder(filesystem, info)
        else:
            pieces = _split_file(filesystem, info, uri, options)
    if options.version is not None:
        raise CatalogError(f"{uri}: only Delta tables have versions: remove the option version")
    return Input(
        uri,
        _distinguish(pieces, options),
        filesystem,
        settings.endpoint_url,
        options.encoding,
        _parse_codes(options, uri),
        options.hdu,
        options.columns,
    )


@contextmanager
def translate_errors(uri: str, endpoint: str) -> Iterator[None]:
    """Translate errors of delta-rs and Arrow.

    Raises:
        CatalogError: The input cannot be read.
        StoreError: The object store is unreachable.
    """
    try:
        yield
    except CatalogError as error:
        if is_connection_error(str(error.__cause__)):
            raise unreachable_error(endpoint, "no connection") from error
        raise
    except TableNotFoundError as error:
        raise CatalogError(
            f"{uri}: the table or this version of it does not exist: check the address"
        ) from error
    except (DeltaError, pa.ArrowException, OSError) as error:
        if is_connection_error(str(error)):
            raise unreachable_error(endpoint, "no connection") from error
        reason = shorten_report(str(error))
        raise CatalogError(
            f"{uri}: neither a Delta table nor files ({reason}): check the address"
        ) from error


def _parse_codes(options: Options, uri: str) -> Mapping[str, str]:
    return parse_classes(options.classes, uri) if options.classes else {}


def _open_delta(
    settings: Settings, uri: str, base_uri: str, address: str, options: Options
) -> Input:
    version = options.version
    if version is not None and not version.isdigit():
        raise CatalogError(
            f"{uri}: version is {version!r}, expected a whole number like ?version=3"
        )
    for option, value in (("encoding", options.encoding), ("hdu", options.hdu)):
        if value is not None:
            raise CatalogError(
                f"{uri}: the option {option} does not apply to a Delta table: remove it"
            )
    codes = _parse_codes(options, uri)
    table = DeltaTable(
        address,
        version=int(version) if version else None,
        storage_options=make_storage_options(settings),
    )
    dataset = table.to_pyarrow_dataset()
    pieces = [
        piece
        for fragment in sorted(dataset.get_fragments(), key=lambda fragment: fragment.path)
        for piece in _split_fragment(
            dataset.filesystem, fragment, f"{table.metadata().id}/{fragment.path}"
        )
    ]
    pinned_uri = f"{base_uri}?version={table.version()}"
    if options.classes:
        pinned_uri += f"&classes={options.classes}"
    pinned_uri += "".join(f"&{ours}={theirs}" for ours, theirs in options.columns.items())
    return Input(
        pinned_uri,
        _distinguish(pieces, options),
        dataset.filesystem,
        settings.endpoint_url,
        codes=codes,
        columns=options.columns,
    )


def _split_folder(filesystem: fs.FileSystem, info: fs.FileInfo) -> list[Piece]:
    dataset = ds.dataset(info.path, filesystem=filesystem, format="parquet", partitioning="hive")
    pieces: list[Piece] = []
    for fragment in sorted(dataset.get_fragments(), key=lambda fragment: fragment.path):
        content_id = _identify(filesystem.get_file_info(fragment.path))
        pieces += _split_fragment(filesystem, fragment, content_id)
    return pieces


def _open_filesystem(settings: Settings, address: str) -> fs.FileSystem:
    if address.startswith(("http://", "https://")):
        raise CatalogError(
            f"{omit_credentials(address)}: files of the web cannot be scored: copy it to the "
            "object store and use its s3:// URL"
        )
    if not address.startswith("s3://"):
        return fs.LocalFileSystem()
    scheme, _, host = omit_credentials(settings.endpoint_url).partition("://")
    return fs.S3FileSystem(
        access_key=settings.access_key_id,
        secret_key=settings.secret_access_key.get_secret_value(),
        endpoint_override=host,
        scheme=scheme,
        region=settings.region,
        connect_timeout=settings.s3_connect_seconds,
        request_timeout=settings.s3_read_seconds,
        proxy_options=find_proxy(settings.endpoint_url),
    )


def _distinguish(pieces: Iterable[Piece], options: Options) -> tuple[Piece, ...]:
    """Add the table and the columns to the ids: with others, the same file has other objects."""
    chosen = {"hdu": options.hdu} if options.hdu else {}
    text = "".join(f"#{name}={value}" for name, value in {**chosen, **options.columns}.items())
    return tuple(replace(piece, id=f"{piece.id}{text}") for piece in pieces)


def _identify(info: fs.FileInfo) -> str:
    return f"{info.path}#{info.size}-{info.mtime_ns}"


def _split_file(
    filesystem: fs.FileSystem, info: fs.FileInfo, uri: str, options: Options
) -> list[Piece]:
    table = open_table(info.path, uri, filesystem, options.encoding, hdu=options.hdu)
    if isinstance(table, ParquetTable):
        return list(_split_row_groups(table, info.path, _identify(info), {}))
    return [Piece(_identify(info), info.path)]


def _split_fragment(filesystem: Any, fragment: Any, content_id: str) -> Iterator[Piece]:
    table = ParquetTable(fragment.path, partial(filesystem.open_input_file, fragment.path))
    partition = ds.get_partition_keys(fragment.partition_expression)
    return _split_row_groups(table, fragment.path, content_id, partition)


def _split_row_groups(
    table: ParquetTable, path: str, content_id: str, partition: Mapping[str, Any]
) -> Iterator[Piece]:
    sizes = table.list_row_groups()
    row_groups: list[int] = []
    rows = 0
    for index, size in enumerate(sizes):
        row_groups.append(index)
        rows += size
        if rows >= PIECE_ROWS or index == len(sizes) - 1:
            yield Piece(f"{content_id}#{row_groups[0]}", path, tuple(row_groups), partition)
            row_groups, rows = [], 0
