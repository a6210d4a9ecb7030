"""Inputs of batch scoring: the observations table, other Delta tables, and Parquet files.

An input is split into immutable pieces of about a million rows. A watermark per piece and release
records how many of its rows have been scored, so retries, later runs and runs with another number
of shards continue from there.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from pyarrow import fs

from skyclass.errors import CatalogError, one_line
from skyclass.settings import Settings
from skyclass.storage.delta import is_connection_error, make_storage_options
from skyclass.storage.s3 import unreachable_error
from skyclass.tables import OBSERVATIONS_URI
from skyclass.tables.observations import SPEC

PIECE_ROWS = 1_000_000
"""Minimum number of rows of a piece, unless its file ends earlier."""


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of a file, scored in order.

    Attributes:
        id: Unique for the content: a changed file has other pieces.
        path: Path of the file.
        row_groups: Indices of the Parquet row groups of the piece.
        rows: Number of rows.
    """

    id: str
    path: str
    row_groups: tuple[int, ...]
    rows: int


@dataclass(frozen=True)
class Input:
    """A snapshot of an input.

    Attributes:
        uri: Address of the input; for a Delta table it includes the version.
        pieces: All pieces, in a stable order.
        filesystem: The Arrow file system of the files.
        endpoint: URL of the object store, for error messages.
    """

    uri: str
    pieces: tuple[Piece, ...]
    filesystem: Any
    endpoint: str


def open_input(settings: Settings, uri: str) -> Input:
    """Open the input at an address.

    Args:
        settings: Location of the object store.
        uri: `table:` for the observations table, or the s3:// address or path of a Delta table, a
            Parquet file, or a folder of Parquet files. For a Delta table, `?version=…` selects a
            version; the default is the newest.

    Raises:
        CatalogError: There is no Delta table and no Parquet file at the address.
        StoreError: The object store is unreachable.
    """
    base_uri, _, version = uri.partition("?version=")
    if version and not version.isdigit():
        raise CatalogError(
            f"{uri}: version is {version!r}, expected a whole number like ?version=3"
        )
    address = base_uri
    if base_uri == OBSERVATIONS_URI:
        address = f"s3://{settings.data_bucket}/{SPEC.prefix}"
    with translate_errors(uri, settings.endpoint_url):
        if address.endswith(".parquet"):
            return _open_parquet(settings, address)
        if base_uri == OBSERVATIONS_URI or DeltaTable.is_deltatable(
            address, storage_options=make_storage_options(settings)
        ):
            return _open_delta(settings, base_uri, address, int(version) if version else None)
        return _open_parquet(settings, address)


@contextmanager
def translate_errors(uri: str, endpoint: str) -> Iterator[None]:
    """Translate errors of delta-rs and Arrow.

    Raises:
        CatalogError: The input cannot be read.
        StoreError: The object store is unreachable.
    """
    try:
        yield
    except TableNotFoundError as error:
        raise CatalogError(
            f"{uri}: the table or this version of it does not exist: check the address"
        ) from error
    except (DeltaError, pa.ArrowException, OSError) as error:
        if is_connection_error(str(error)):
            raise unreachable_error(endpoint, "no connection") from error
        raise CatalogError(
            f"{uri}: neither a Delta table nor Parquet ({one_line(error)}): check the address"
        ) from error


def _open_delta(settings: Settings, base_uri: str, address: str, version: int | None) -> Input:
    table = DeltaTable(address, version=version, storage_options=make_storage_options(settings))
    dataset = table.to_pyarrow_dataset()
    paths = sorted(fragment.path for fragment in dataset.get_fragments())
    pieces = [
        piece
        for path in paths
        for piece in _split_file(dataset.filesystem, path, f"{table.metadata().id}/{path}")
    ]
    uri = f"{base_uri}?version={table.version()}"
    return Input(uri, tuple(pieces), dataset.filesystem, settings.endpoint_url)


def _open_parquet(settings: Settings, address: str) -> Input:
    filesystem: fs.FileSystem = fs.LocalFileSystem()
    if address.startswith("s3://"):
        scheme, _, host = settings.endpoint_url.partition("://")
        filesystem = fs.S3FileSystem(
            access_key=settings.access_key_id,
            secret_key=settings.secret_access_key.get_secret_value(),
            endpoint_override=host,
            scheme=scheme,
            region=settings.region,
            connect_timeout=settings.s3_connect_seconds,
            request_timeout=settings.s3_read_seconds,
        )
    path = re.sub(r"^(s3|file)://", "", address)
    dataset = ds.dataset(path, filesystem=filesystem, format="parquet")
    pieces: list[Piece] = []
    for info in filesystem.get_file_info(sorted(dataset.files)):
        pieces += _split_file(filesystem, info.path, f"{info.path}#{info.size}-{info.mtime_ns}")
    return Input(address, tuple(pieces), filesystem, settings.endpoint_url)


def _split_file(filesystem: Any, path: str, content_id: str) -> Iterator[Piece]:
    with filesystem.open_input_file(path) as file:
        metadata = pq.read_metadata(file)
    row_groups: list[int] = []
    rows = 0
    for index in range(metadata.num_row_groups):
        row_groups.append(index)
        rows += metadata.row_group(index).num_rows
        if rows >= PIECE_ROWS or index == metadata.num_row_groups - 1:
            yield Piece(f"{content_id}#{row_groups[0]}", path, tuple(row_groups), rows)
            row_groups, rows = [], 0
