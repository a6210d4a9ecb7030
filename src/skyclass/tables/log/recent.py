"""Pages of the newest predictions in the prediction log.

The newest hour is read first, and of each hour the files and row groups that may have rows of the
page, so neither time nor memory depends on the size of the log.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.log.files import UNREADABLE, open_large, parse_log, read_row_group
from skyclass.tables.log.layout import LogFile, list_hour, list_hours_with_files, read_listed
from skyclass.tables.log.schema import LOG_SCHEMA

MAX_PAGE_SPAN = timedelta(days=14)
"""Maximum time between the start of a page and its oldest row."""

_MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)
"""Between a predictor, whose clock gives the times of rows, and the store, that of files."""

_UNKNOWN = datetime.max.replace(tzinfo=UTC)
"""Time of a file that may have rows of any time."""

_TIME = LOG_SCHEMA.field("time").type
_ORDER = [("time", "descending"), ("prediction_id", "ascending"), ("row", "ascending")]
_CURSOR = re.compile(r"(\d{1,17})\.(\d{1,9})\.(.{1,200})")


@dataclass(frozen=True)
class Cursor:
    """The last row of a page; the next page starts after it.

    Attributes:
        time: Time of the prediction.
        row: Index of the row in its request.
        prediction_id: Id of the prediction.
    """

    time: datetime
    row: int
    prediction_id: str

    def __str__(self) -> str:
        """Return the cursor as a query parameter."""
        microseconds = (self.time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        return f"{microseconds}.{self.row}.{self.prediction_id}"

    @classmethod
    def parse(cls, text: str) -> "Cursor | None":
        """Parse a query parameter; return None if it is malformed."""
        match = _CURSOR.fullmatch(text)
        if not match:
            return None
        since = timedelta(microseconds=int(match[1]))
        return cls(datetime(1970, 1, 1, tzinfo=UTC) + since, int(match[2]), match[3])


@dataclass(frozen=True)
class Page:
    """A page of predictions.

    Attributes:
        rows: The predictions, newest first, with the columns of `LOG_SCHEMA`.
        next: Cursor of the next page; None if there are no more rows within `MAX_PAGE_SPAN`.
    """

    rows: pd.DataFrame
    next: Cursor | None


@dataclass(frozen=True)
class _Selection:
    """Selects the first rows of the log that are on a page or after it.

    Attributes:
        is_candidate: Whether a row is of the mode and after the cursor.
        size: Number of rows.
    """

    is_candidate: pc.Expression
    size: int

    def add(self, selected: pa.Table, rows: pa.Table) -> pa.Table:
        """Return the first of the selected rows and others."""
        rows = pa.concat_tables([selected, rows.filter(self.is_candidate)]).combine_chunks()
        return rows.take(pc.select_k_unstable(rows, self.size, sort_keys=_ORDER))

    def is_complete(self, selected: pa.Table, newest: datetime) -> bool:
        """Whether rows up to a time cannot be among the first."""
        return (
            len(selected) == self.size
            and selected["time"][-1].as_py() - _MAX_CLOCK_DIFFERENCE > newest
        )


def read_recent_predictions(
    store: ObjectStore, mode: Mode, size: int, now: datetime, after: Cursor | None = None
) -> Page:
    """Read a page of the newest predictions of a mode.

    Unreadable files are skipped.

    Args:
        store: The object store.
        mode: Mode of the predictions.
        size: Number of rows of a page.
        now: The current time.
        after: The last row of the previous page; None for the first page.
    """
    newest = after.time if after else now
    selection = _Selection(_make_condition(mode, after), size + 1)
    selected = LOG_SCHEMA.empty_table()
    for hour in list_hours_with_files(store, newest, newest - MAX_PAGE_SPAN):
        selected = read_listed(
            partial(_list_files, store, hour), partial(_select_rows, store, selection, selected)
        )
        if len(selected) > size:
            break
    page = selected.slice(0, size).to_pandas()
    if len(selected) <= size:
        return Page(page, None)
    last = page.iloc[-1]
    return Page(page, Cursor(last["time"].to_pydatetime(), int(last["row"]), last["prediction_id"]))


def find_last_write(store: ObjectStore, now: datetime) -> datetime | None:
    """Return when the log was last written, today or yesterday.

    If all files of the newest hour are merged, this is not known, and the end of that hour is
    returned.

    Raises:
        StoreError: The object store failed.
    """
    for hour in list_hours_with_files(store, now, now - timedelta(days=1)):
        files = _list_files(store, hour)
        written = [time for file, time in files if file.merged is None]
        if files:
            return min(now, max(written, default=hour + timedelta(hours=1)))
    return None


def _make_condition(mode: Mode, after: Cursor | None) -> pc.Expression:
    condition = pc.field("mode") == str(mode)
    if after is None:
        return condition
    time = pa.scalar(after.time, _TIME)
    is_later_row = (pc.field("prediction_id") > after.prediction_id) | (
        (pc.field("prediction_id") == after.prediction_id) & (pc.field("row") > after.row)
    )
    return condition & ((pc.field("time") < time) | ((pc.field("time") == time) & is_later_row))


def _list_files(store: ObjectStore, hour: datetime) -> list[tuple[LogFile, datetime]]:
    """List the files of an hour with the times at which they were written, the newest first.

    A time before the hour is wrong, such as that of a clock in a test, and replaced by `_UNKNOWN`.
    """
    files = [
        (file, file.listed.written if file.listed else _UNKNOWN) for file in list_hour(store, hour)
    ]
    known = [(file, time if time >= hour else _UNKNOWN) for file, time in files]
    return sorted(known, key=lambda each: each[1], reverse=True)


def _select_rows(
    store: ObjectStore,
    selection: _Selection,
    selected: pa.Table,
    files: Sequence[tuple[LogFile, datetime]],
) -> pa.Table:
    """Return the first of the selected rows and those of files.

    A file is written after its rows are predicted, so older files than the selected rows have no
    newer ones.
    """
    for file, written in files:
        if selection.is_complete(selected, written):
            break
        try:
            for rows in _read_tables(store, file):
                selected = selection.add(selected, rows)
                if file.merged and selection.is_complete(selected, rows["time"][0].as_py()):
                    break
        except UNREADABLE:
            continue  # the drift job counts unreadable files in its verdict
    return selected


def _read_tables(store: ObjectStore, file: LogFile) -> Iterator[pa.Table]:
    """Yield the rows of a file; those of a merged one, which is sorted, by groups, newest first."""
    if file.merged is None:
        yield parse_log(store.get(store.settings.logs_bucket, file.key), key=file.key)
        return
    large = open_large(store, file.key)
    for number in reversed(range(large.num_row_groups)):
        yield read_row_group(large, number)
