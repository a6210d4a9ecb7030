"""What can be scored: the observations table, any other Delta table, Parquet files.

An input is cut into pieces of about a million rows, which never change. How far each has been
scored is the piece's watermark, so a retry, a later run and another number of shards go on alike.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from pyarrow import fs

from skyclass.errors import CatalogError
from skyclass.settings import Settings
from skyclass.storage.delta import is_connection_error, make_storage_options
from skyclass.storage.s3 import unreachable_error
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import KEY
from skyclass.tables import OBSERVATIONS_URI
from skyclass.tables.observations import SPEC
from skyclass.tables.predictions import SOURCE_ID

CHUNK_ROWS = 200_000
"""Rows that are scored and committed together."""
PIECE_ROWS = 1_000_000
"""A piece has at least so many rows, or is what is left of its file."""

_READ_BYTES = 1 << 20
_NAMES = {
    "mjd": ("mjd", "MJD"),
    "fiber_id": ("fiber_id", "fiberid", "fiberID", "fiber_ID"),
    SOURCE_ID: (SOURCE_ID, "objid", "objID", "obj_ID"),
}
"""Names that other tables have for our columns."""


@dataclass(frozen=True)
class Piece:
    """Rows that are scored one after the other.

    Attributes:
        id: Names the piece; another content is another piece.
        path: The file.
        groups: Its row groups that belong to the piece.
        rows: How many rows that is.
    """

    id: str
    path: str
    groups: tuple[int, ...]
    rows: int


@dataclass(frozen=True)
class Input:
    """An input, as it is at this moment.

    Attributes:
        uri: Names it for ever: a Delta table's has its version.
        pieces: All of its pieces, in an order that does not change.
        filesystem: Where the files are.
        endpoint: The object store that they are in, unless they are on this machine.
    """

    uri: str
    pieces: tuple[Piece, ...]
    filesystem: Any
    endpoint: str

    def chunks(self, piece: Piece, mode: Mode, after: int) -> Iterator[pa.Table]:
        """Read the rows of a piece that follow row number `after`, `CHUNK_ROWS` at a time.

        Yields:
            Our columns: `source_id` and `KEY`, the inputs of the mode, and `class` if there is one.

        Raises:
            CatalogError: A column is missing; the message names it.
            StoreError: The object store does not answer.
        """
        with (
            _reported(self.uri, self.endpoint),
            self.filesystem.open_input_file(piece.path) as file,
        ):
            parquet = pq.ParquetFile(file, buffer_size=_READ_BYTES)
            found = _columns(parquet.schema_arrow.names, mode, self.uri)
            kept: list[pa.Table] = []
            position = 0
            for batch in parquet.iter_batches(CHUNK_ROWS, piece.groups, list(found.values())):
                table = pa.table({ours: _plain(batch[theirs]) for ours, theirs in found.items()})
                start, position = position, position + table.num_rows
                kept.append(table.slice(max(after - start, 0)))
                while sum(each.num_rows for each in kept) >= CHUNK_ROWS:
                    whole = pa.concat_tables(kept)
                    yield whole.slice(0, CHUNK_ROWS)
                    kept = [whole.slice(CHUNK_ROWS)]
            rest = pa.concat_tables(kept) if kept else None
            if rest is not None and rest.num_rows:
                yield rest


def open_input(settings: Settings, uri: str) -> Input:
    """Open what a URI names.

    Args:
        settings: Where the object store is.
        uri: `table:` for the observations table, the s3:// address or path of a Delta table, each
            with `?version=…` if not the newest is meant; or of a Parquet file, or a folder of them.

    Raises:
        CatalogError: There is nothing that can be scored.
        StoreError: The object store does not answer.
    """
    plain, _, version = uri.partition("?version=")
    if version and not version.isdigit():
        raise CatalogError(f"{uri}: version is a whole number, like ?version=3")
    address = plain
    if plain == OBSERVATIONS_URI:
        address = f"s3://{settings.data_bucket}/{SPEC.prefix}"
    with _reported(uri, settings.endpoint_url):
        if address.endswith(".parquet"):
            return _parquet_input(settings, address)
        if plain == OBSERVATIONS_URI or DeltaTable.is_deltatable(
            address, storage_options=make_storage_options(settings)
        ):
            return _delta_input(settings, plain, address, int(version) if version else None)
        return _parquet_input(settings, address)


@contextmanager
def _reported(uri: str, endpoint: str) -> Iterator[None]:
    try:
        yield
    except TableNotFoundError as error:
        raise CatalogError(f"{uri}: there is no such table, or not at that version") from error
    except (DeltaError, pa.ArrowException, OSError) as error:
        if is_connection_error(str(error)):
            raise unreachable_error(endpoint, "no connection") from error
        reason = " ".join(str(error).split())[:200]
        raise CatalogError(
            f"{uri}: no Delta table and no Parquet ({reason}): check the address"
        ) from error


def _delta_input(settings: Settings, name: str, address: str, version: int | None) -> Input:
    table = DeltaTable(address, version=version, storage_options=make_storage_options(settings))
    dataset = table.to_pyarrow_dataset()
    paths = sorted(fragment.path for fragment in dataset.get_fragments())
    pieces = [
        piece
        for path in paths
        for piece in _cut(dataset.filesystem, path, f"{table.metadata().id}/{path}")
    ]
    uri = f"{name}?version={table.version()}"
    return Input(uri, tuple(pieces), dataset.filesystem, settings.endpoint_url)


def _parquet_input(settings: Settings, address: str) -> Input:
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
        pieces += _cut(filesystem, info.path, f"{info.path}#{info.size}-{info.mtime_ns}")
    return Input(address, tuple(pieces), filesystem, settings.endpoint_url)


def _cut(filesystem: Any, path: str, name: str) -> Iterator[Piece]:
    with filesystem.open_input_file(path) as file:
        metadata = pq.read_metadata(file)
    groups: list[int] = []
    rows = 0
    for number in range(metadata.num_row_groups):
        groups.append(number)
        rows += metadata.row_group(number).num_rows
        if rows >= PIECE_ROWS or number == metadata.num_row_groups - 1:
            yield Piece(f"{name}#{groups[0]}", path, tuple(groups), rows)
            groups, rows = [], 0


def _plain(column: pa.Array) -> pa.Array:
    """delta-rs says that text is `string_view`, which hardly any function of Arrow takes yet."""
    return column.cast(pa.string()) if column.type == pa.string_view() else column


def _columns(names: Sequence[str], mode: Mode, uri: str) -> dict[str, str]:
    """The file's name of each of our columns."""
    found = {}
    for ours in (SOURCE_ID, *KEY, *INPUTS[mode], "class"):
        theirs = [name for name in _NAMES.get(ours, (ours,)) if name in names]
        if theirs:
            found[ours] = theirs[0]
    if not set(KEY) <= set(found) and SOURCE_ID not in found:
        raise CatalogError(
            f"{uri}: neither {', '.join(KEY)} nor {SOURCE_ID} say which object a row is: add them"
        )
    missing = [name for name in INPUTS[mode] if name not in found]
    if missing:
        raise CatalogError(
            f"{uri}: column {missing[0]} is missing, {mode} mode needs it: add it, or choose the "
            "other mode"
        )
    if set(KEY) <= set(found):
        found.pop(SOURCE_ID, None)  # what has a spectrum is known by it
    return found
