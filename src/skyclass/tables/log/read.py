"""Read the prediction log.

Small files are fetched in parallel, large ones in parts, so memory does not depend on the size of
the log. Each hour is collected on its own: `skyclass maintain` may replace its files meanwhile,
and then the hour is read again.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, Protocol, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skyclass.errors import one_line
from skyclass.storage.prefetch import map_ahead, prefetch
from skyclass.storage.s3 import ObjectStore, StoredObject
from skyclass.storage.small_files import SmallFiles
from skyclass.survey.features import Mode
from skyclass.tables.log.files import ALL_COLUMNS, UNREADABLE, open_large, parse_log, read_batches
from skyclass.tables.log.layout import LogFile, list_hour, list_hours, read_listed
from skyclass.tables.log.schema import LOG_SCHEMA

logger = logging.getLogger(__name__)

_BATCH_ROWS = 20_000
"""Rows that are filtered and collected together."""
_THREADS = 8
_FILES_AHEAD = 32

_ONE_HOUR = timedelta(hours=1)
_TIME = LOG_SCHEMA.field("time").type


class Collector(Protocol):
    """Collects the rows of one hour."""

    def add(self, rows: pa.Table) -> None:
        """Add rows, in any order."""


C = TypeVar("C", bound=Collector)


@dataclass(frozen=True)
class Query:
    """Selects the predictions of one release in a window of time.

    Attributes:
        start: Start of the window (UTC), included.
        end: End of the window (UTC), excluded.
        mode: Mode of the release.
        model_version: Id of the release.
        columns: Columns of `LOG_SCHEMA` that are read, with `time`, `mode` and `model_version`.
    """

    start: datetime
    end: datetime
    mode: Mode
    model_version: str
    columns: Sequence[str] = ALL_COLUMNS


@dataclass
class LogHour(Generic[C]):
    """The rows of one hour.

    Attributes:
        collected: The collector of the rows that were selected.
        files: Number of files read.
        unreadable: Keys of files that are not Parquet of this schema.
        unreadable_rows: Number of rows of the release in merged files that could not be read, if
            the window has the whole hour; how many rows other files hold is not known.
        other_releases: Number of rows of each other release of the mode in the window.
    """

    collected: C
    files: int = 0
    unreadable: list[str] = field(default_factory=list)
    unreadable_rows: int = 0
    other_releases: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class LogWindow:
    """All rows of a small window.

    Attributes:
        rows: The rows of all readable files, with the columns of `LOG_SCHEMA`.
        files: Number of files read.
        unreadable: Keys of files that are not Parquet of this schema.
        other_releases: Number of rows of each other release of the mode in the window.
    """

    rows: pd.DataFrame
    files: int
    unreadable: tuple[str, ...]
    other_releases: Mapping[str, int]


class _Tables(list[pa.Table]):
    """Collects tables."""

    def add(self, rows: pa.Table) -> None:
        self.append(rows)


def read_hours(
    store: ObjectStore, query: Query, start_hour: Callable[[], C]
) -> Iterator[LogHour[C]]:
    """Read a window hour by hour.

    Unreadable files are skipped and listed in the result.

    Args:
        store: The object store.
        query: What to read.
        start_hour: Returns a new collector. If files were deleted while an hour was read, its
            collector is discarded, and the hour is read again with another one.

    Raises:
        StoreError: The object store failed, or files that the log's index names are missing.
    """
    for hour in list_hours(query.start, query.end):

        def collect(files: list[LogFile], hour: datetime = hour) -> LogHour[C]:
            return _collect(store, query, hour, files, start_hour())

        yield read_listed(partial(list_hour, store, hour), collect)


def read_log(
    store: ObjectStore, start: datetime, end: datetime, mode: Mode, model_version: str
) -> LogWindow:
    """Read all predictions of one release in a window that fits into memory.

    Args:
        store: The object store.
        start: Start of the window (UTC), included.
        end: End of the window (UTC), excluded.
        mode: Mode of the release.
        model_version: Id of the release.
    """
    hours = list(read_hours(store, Query(start, end, mode, model_version), _Tables))
    tables = [LOG_SCHEMA.empty_table(), *(table for hour in hours for table in hour.collected)]
    others = sum((hour.other_releases for hour in hours), Counter[str]())
    return LogWindow(
        rows=pa.concat_tables(tables).to_pandas(),
        files=sum(hour.files for hour in hours),
        unreadable=tuple(key for hour in hours for key in hour.unreadable),
        other_releases=dict(sorted(others.items())),
    )


def _collect(
    store: ObjectStore, query: Query, hour: datetime, files: list[LogFile], collector: C
) -> LogHour[C]:
    found = LogHour(collector)
    is_whole = query.start <= hour and hour + _ONE_HOUR <= query.end
    for file in files:
        merged = file.merged
        if merged is None or merged.mode is not query.mode:
            continue
        if merged.model_version != query.model_version and is_whole:
            found.other_releases[merged.model_version] += merged.rows
            continue
        missing = merged.rows
        for rows in prefetch(_read_merged(store, file.key, query, found)):
            _add(rows, query, found)
            missing -= rows.num_rows
        found.unreadable_rows += missing if is_whole else 0
    small = [file.listed for file in files if file.merged is None and file.listed]
    for rows in _read_small_files(store, small, query, found):
        _add(rows, query, found)
    return found


def _add(rows: pa.Table, query: Query, found: LogHour[C]) -> None:
    """Collect the rows of the release, and count those of others."""
    is_in_window = (
        (pc.field("time") >= pa.scalar(query.start, _TIME))
        & (pc.field("time") < pa.scalar(query.end, _TIME))
        & (pc.field("mode") == str(query.mode))
    )
    is_of_release = pc.field("model_version") == query.model_version
    found.collected.add(rows.filter(is_in_window & is_of_release))
    others = rows.select(["time", "mode", "model_version"]).filter(is_in_window & ~is_of_release)
    for count in others["model_version"].value_counts().to_pylist():
        found.other_releases[count["values"]] += count["counts"]


def _read_merged(
    store: ObjectStore, key: str, query: Query, found: LogHour[C]
) -> Iterator[pa.Table]:
    """Yield the rows of a merged file in batches."""
    try:
        file = open_large(store, key)
        yield from read_batches(file, query.columns, _BATCH_ROWS)
        found.files += 1
    except UNREADABLE as error:
        _skip(key, error, found)


def _read_small_files(
    store: ObjectStore, files: Sequence[StoredObject], query: Query, found: LogHour[C]
) -> Iterator[pa.Table]:
    """Yield the rows of many files in batches: filtering each file would take most of the time."""
    sizes = {file.key: file.size for file in files}
    client = SmallFiles(store.settings, store.settings.logs_bucket, sizes)
    waiting, size = [], 0
    for key, data in zip(sizes, map_ahead(client.read, sizes, _THREADS, _FILES_AHEAD), strict=True):
        try:
            rows = parse_log(data, query.columns, key)
        except UNREADABLE as error:
            _skip(key, error, found)
            continue
        found.files += 1
        waiting.append(rows)
        size += len(rows)
        if size >= _BATCH_ROWS:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting, size = [], 0
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _skip(key: str, error: BaseException, found: LogHour[C]) -> None:
    logger.warning("%s cannot be read, skipped: %s", key, one_line(error))
    found.unreadable.append(key)
