"""Merging the files of an hour of the prediction log into one file for each release.

The merged files are written first, under new names, then the index that names them: with that one
write, readers change from the old files to the new ones. Nothing is deleted here; see `cleaning`.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from skyclass.errors import StoreError, one_line
from skyclass.maintenance.merged_file import get_group, write_merged_file
from skyclass.maintenance.sorting import BATCH_ROWS
from skyclass.maintenance.spool import TIME, Group, Spool
from skyclass.storage.prefetch import map_ahead
from skyclass.storage.s3 import PARQUET_TYPE, ObjectMissingError, ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.log.files import UNREADABLE, open_large, parse_log, read_row_group
from skyclass.tables.log.layout import (
    HourIndex,
    LogDamagedError,
    MergedFile,
    list_hour,
    make_hour_prefix,
    read_index,
)

logger = logging.getLogger(__name__)

_THREADS = 8
_FILES_AHEAD = 16

GRACE = timedelta(hours=2)
"""Age of an index at which the files that it replaces may be deleted."""

MAX_SECONDS = GRACE.total_seconds() / 2
"""Longest time from reading an hour to writing its index. When files are deleted, every run that
did not know of their index has ended, so it cannot replace the index by one without them."""


@dataclass(frozen=True)
class MergedHour:
    """The outcome of a merge.

    Attributes:
        files: Number of files of predictors that were merged.
        bytes_in: Their size.
        written: Number of merged files that were written.
        bytes_out: Their size.
        rows: Number of rows in the merged files.
        unreadable: Number of files that cannot be merged; they stay, and readers count them.
    """

    files: int = 0
    bytes_in: int = 0
    written: int = 0
    bytes_out: int = 0
    rows: int = 0
    unreadable: int = 0


def count_new_files(store: ObjectStore, hour: datetime) -> int:
    """Return the number of files of an hour that are not merged."""
    return sum(file.merged is None for file in list_hour(store, hour))


def merge_hour(store: ObjectStore, hour: datetime) -> MergedHour:
    """Merge the files of an hour that are not merged yet.

    Memory does not depend on the size of the hour: its rows are spooled to the local disk. Of two
    runs at the same time, the index that is written last counts; files that it does not replace are
    merged by the next run.

    Args:
        store: The object store.
        hour: Any time in the hour (UTC), which has ended.

    Raises:
        StoreError: The object store failed, a merged file is missing or damaged, or the merge took
            too long.
    """
    started = time.monotonic()
    prefix, bucket = make_hour_prefix(hour), store.settings.logs_bucket
    before = find_index(store, prefix)
    new = [file.key for file in list_hour(store, hour) if file.merged is None]
    with TemporaryDirectory(prefix="skyclass-") as temporary:
        folder = Path(temporary)
        spool = Spool(folder)
        sizes = _spool_files(store, new, spool)
        unreadable = len(new) - len(sizes)
        if not sizes:
            return MergedHour(unreadable=unreadable)
        groups = set(spool.list_groups())
        superseded = [each for each in before.merged if get_group(each) in groups]
        files = _write_files(store, prefix, spool, superseded, folder)
        for entry, path in files.items():
            store.upload(bucket, prefix + entry.name, path, PARQUET_TYPE)
        bytes_out = sum(path.stat().st_size for path in files.values())
    if time.monotonic() - started > MAX_SECONDS:
        raise StoreError(f"{prefix}: the merge took longer than {MAX_SECONDS:.0f} s: run it again")
    replaced = [*(key.removeprefix(prefix) for key in sizes), *(each.name for each in superseded)]
    index = _make_index(before, list(files), replaced)
    store.put(bucket, prefix + HourIndex.file_name, index.to_bytes(), "application/json")
    return MergedHour(
        files=len(sizes),
        bytes_in=sum(sizes.values()),
        written=len(files),
        bytes_out=bytes_out,
        rows=sum(each.rows for each in files),
        unreadable=unreadable,
    )


def find_index(store: ObjectStore, prefix: str) -> HourIndex:
    """Read the index of an hour; an hour without an index has an empty one."""
    try:
        return read_index(store, prefix)
    except ObjectMissingError:
        return HourIndex()


def _spool_files(store: ObjectStore, keys: Sequence[str], spool: Spool) -> dict[str, int]:
    """Add the rows of files to a spool, and return key and size of the readable ones."""

    def read(key: str) -> tuple[str, int, pa.Table | None]:
        data = store.get(store.settings.logs_bucket, key)
        try:
            return key, len(data), _parse(data, key)
        except UNREADABLE as error:
            logger.warning("%s cannot be merged, it stays as it is: %s", key, one_line(error))
            return key, len(data), None

    sizes, tables = {}, []
    for key, size, rows in map_ahead(read, keys, _THREADS, _FILES_AHEAD):
        if rows is not None:
            sizes[key] = size
            tables.append(rows)
        if len(tables) == _FILES_AHEAD:
            spool.add(pa.concat_tables(tables).combine_chunks())  # many small tables are large
            tables = []
    if tables:
        spool.add(pa.concat_tables(tables))
    return sizes


def _write_files(
    store: ObjectStore,
    prefix: str,
    spool: Spool,
    superseded: Sequence[MergedFile],
    folder: Path,
) -> dict[MergedFile, Path]:
    """Write the rows of a spool and of merged files to one local file for each release."""
    files = {}
    for number, group in enumerate(spool.list_groups()):
        earlier = [each.name for each in superseded if get_group(each) == group]
        runs = [_read_earlier(store, prefix + name) for name in earlier]
        path = folder / f"{number}.parquet"
        files[write_merged_file(spool.read_sorted(group, runs), group, path)] = path
    rows = sum(each.rows for each in files)
    expected = spool.rows + sum(each.rows for each in superseded)
    if rows != expected:
        raise StoreError(f"{prefix}: {rows:,} of {expected:,} rows were merged: report a bug")
    return files


def _read_earlier(store: ObjectStore, key: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a merged file, in order."""
    try:
        file = open_large(store, key)
        for number in range(file.num_row_groups):
            yield from read_row_group(file, number).to_batches(BATCH_ROWS)
    except (ObjectMissingError, *UNREADABLE) as error:
        raise LogDamagedError(
            f"s3://{store.settings.logs_bucket}/{key} is missing or damaged ({one_line(error)}): "
            "restore it from a backup or an earlier version of the object"
        ) from error


def _make_index(
    before: HourIndex, written: Sequence[MergedFile], replaced: Iterable[str]
) -> HourIndex:
    """Return the index after a merge.

    Names stay in `replaced` after the files are deleted: a predictor may repeat a write hours
    later, if its acknowledgement was lost, and its rows must not count again.
    """
    groups = {get_group(each) for each in written}
    kept = [each for each in before.merged if get_group(each) not in groups]
    names = sorted({*before.replaced, *replaced})
    return HourIndex(merged=(*kept, *written), replaced=tuple(names))


def _parse(data: bytes, key: str) -> pa.Table:
    rows = parse_log(data, key=key)
    columns = (TIME, *Group._fields)
    if any(rows[name].null_count for name in columns):
        raise pa.ArrowInvalid(f"a row lacks one of {', '.join(columns)}")
    if unknown := set(rows["mode"].unique().to_pylist()) - set(Mode):
        raise pa.ArrowInvalid(f"unknown modes: {', '.join(unknown)}")
    return rows
