"""Where the files of the prediction log are.

A predictor writes small files below `date=YYYY-MM-DD/hour=HH/`; each row is stored under the hour
of its time, so a window is read from a few prefixes. `skyclass maintain` merges the files of an
hour. The index of the hour names the merged files and those that they replace, and it is replaced
in one write, so that a reader sees each row once, however far a merge has got.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import ClassVar, TypeVar

from pydantic import ValidationError

from skyclass.errors import StoreError
from skyclass.registry.documents import Document, StoredDocument
from skyclass.storage.formats import Format
from skyclass.storage.s3 import ObjectMissingError, ObjectStore, StoredObject
from skyclass.survey.features import Mode

logger = logging.getLogger(__name__)

F = TypeVar("F")
T = TypeVar("T")

_SUFFIX = ".parquet"
_MAX_LISTINGS = 5


class LogDamagedError(StoreError):
    """The index of an hour is malformed, or a merged file is missing or damaged."""


class MergedFile(Document):
    """A file with all rows of an hour that are of one release and mode.

    Attributes:
        name: Name below the prefix of the hour.
        mode: Mode of the release.
        model_version: Id of the release.
        rows: Number of rows.
    """

    name: str
    mode: Mode
    model_version: str
    rows: int


class HourIndex(StoredDocument):
    """The merged files of an hour.

    Attributes:
        merged: The merged files.
        replaced: Names of the files whose rows are in merged files; a file that is neither here
            nor in `merged` was written after the merge.
    """

    stored_format = Format("index of an hour of the prediction log", "0.2.0")

    file_name: ClassVar[str] = "index.json"

    merged: tuple[MergedFile, ...] = ()
    replaced: tuple[str, ...] = ()


@dataclass(frozen=True)
class LogFile:
    """A file of the log.

    Attributes:
        key: Its key in the logs bucket.
        merged: What is known of a merged file; None for one that a predictor wrote.
        listed: Its entry in the list of objects; None if the index names a file that is missing.
    """

    key: str
    merged: MergedFile | None
    listed: StoredObject | None


def list_hour(store: ObjectStore, hour: datetime) -> list[LogFile]:
    """List the files that together hold each row of an hour once.

    A merge may delete a listed file before it is read; see `read_listed`.

    Args:
        store: The object store.
        hour: Any time in the hour (UTC).

    Raises:
        StoreError: The log cannot be listed, or the index is malformed.
    """
    prefix = make_hour_prefix(hour)
    objects = list(store.list_objects(store.settings.logs_bucket, prefix))
    return _select_files(store, prefix, {each.key: each for each in objects})


def read_listed(
    list_files: Callable[[], F], read: Callable[[F], T], attempts: int = _MAX_LISTINGS
) -> T:
    """Read listed files, and list and read them again if one was deleted meanwhile.

    Args:
        list_files: Lists the files of an hour.
        read: Reads them from the start.
        attempts: Number of times; each merge of an hour deletes files once.

    Raises:
        LogDamagedError: A file is missing each time, because the index names it.
        StoreError: The object store failed.
    """
    try:
        return read(list_files())
    except ObjectMissingError as error:
        if attempts == 1:
            raise LogDamagedError(
                f"{error}, but {HourIndex.file_name} names it: restore it from a backup or an "
                "earlier version of the object"
            ) from error
        logger.info("%s: files were merged meanwhile, the hour is read again", error)
    return read_listed(list_files, read, attempts - 1)


def read_index(store: ObjectStore, prefix: str) -> HourIndex:
    """Read the index of an hour.

    Raises:
        ObjectMissingError: The hour has no index.
        NewerFormatError: A newer version of skyclass has written the index.
        StoreError: The index cannot be read or is malformed.
    """
    key = prefix + HourIndex.file_name
    where = f"s3://{store.settings.logs_bucket}/{key}"
    data = store.get(store.settings.logs_bucket, key)
    try:
        return HourIndex.from_bytes(data, where)
    except ValidationError as error:
        raise LogDamagedError(f"{where}: not an index: restore the object") from error


def list_hours(start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the hours of a window.

    Args:
        start: Start of the window (UTC), included.
        end: End of the window (UTC), excluded.
    """
    hour = start.replace(minute=0, second=0, microsecond=0)
    while hour < end:
        yield hour
        hour += timedelta(hours=1)


def list_hours_with_files(
    store: ObjectStore, newest: datetime, oldest: datetime
) -> Iterator[datetime]:
    """Yield the hours that have files, the newest first.

    Args:
        store: The object store.
        newest: A time in the newest hour (UTC).
        oldest: A time in the oldest day (UTC).

    Raises:
        StoreError: The log cannot be listed.
    """
    day = newest.replace(hour=0, minute=0, second=0, microsecond=0)
    while day.date() >= oldest.date():
        prefixes = set(store.list_prefixes(store.settings.logs_bucket, make_day_prefix(day)))
        for hour in reversed(list(list_hours(day, day + timedelta(days=1)))):
            if hour <= newest and make_hour_prefix(hour) in prefixes:
                yield hour
        day -= timedelta(days=1)


def make_day_prefix(day: date) -> str:
    """Return the prefix of a day (UTC) in the logs bucket."""
    return f"date={day:%Y-%m-%d}/"


def make_hour_prefix(time: datetime) -> str:
    """Return the prefix of the hour of a time (UTC) in the logs bucket."""
    return f"{make_day_prefix(time)}hour={time:%H}/"


def _select_files(
    store: ObjectStore, prefix: str, listed: Mapping[str, StoredObject]
) -> list[LogFile]:
    names = [key.removeprefix(prefix) for key in listed]
    index = HourIndex()
    if HourIndex.file_name in names:
        index = read_index(store, prefix)
    replaced = {*index.replaced, *(each.name for each in index.merged)}
    written = [
        name
        for name in names
        if name.endswith(_SUFFIX) and "/" not in name and name not in replaced
    ]
    merged = [
        LogFile(prefix + each.name, each, listed.get(prefix + each.name)) for each in index.merged
    ]
    return merged + [LogFile(prefix + name, None, listed[prefix + name]) for name in written]
