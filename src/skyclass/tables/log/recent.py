"""Pages of the newest predictions in the prediction log.

Files are read one at a time, the newest hour first, and only the rows of the page are kept, so
memory does not depend on the size of the log.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.log.layout import make_day_prefix
from skyclass.tables.log.schema import LOG_SCHEMA, parse_log

MAX_PAGE_SPAN = timedelta(days=14)
"""Maximum time between the start of a page and its oldest row."""

_TIME = LOG_SCHEMA.field("time").type
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
    kept = LOG_SCHEMA.empty_table().to_pandas()
    for keys in _list_keys_by_hour(store, newest, newest - MAX_PAGE_SPAN):
        for key in keys:
            rows = _read_rows(store, key, mode, after)
            kept = pd.concat([kept, rows] if len(kept) else [rows])
            newest_first = kept.sort_values(
                ["time", "prediction_id", "row"], ascending=[False, True, True]
            )
            kept = newest_first.head(size + 1)
        if len(kept) > size:
            break
    page = kept.head(size).reset_index(drop=True)
    if len(kept) <= size:
        return Page(page, None)
    last = page.iloc[-1]
    return Page(page, Cursor(last["time"].to_pydatetime(), int(last["row"]), last["prediction_id"]))


def _list_keys_by_hour(
    store: ObjectStore, newest: datetime, oldest: datetime
) -> Iterator[list[str]]:
    """Yield the keys of the files of each hour that has any, the newest hour first."""
    day = newest.date()
    while day >= oldest.date():
        by_hour: dict[str, list[str]] = {}
        for key in store.list_keys(store.settings.logs_bucket, make_day_prefix(day)):
            by_hour.setdefault(key.rsplit("/", 1)[0], []).append(key)
        for hour in sorted(by_hour, reverse=True):
            yield by_hour[hour]
        day -= timedelta(days=1)


def _read_rows(store: ObjectStore, key: str, mode: Mode, after: Cursor | None) -> pd.DataFrame:
    data = store.get(store.settings.logs_bucket, key)
    is_on_page = pc.field("mode") == str(mode)
    if after:
        time = pa.scalar(after.time, _TIME)
        is_later_row = (pc.field("prediction_id") > after.prediction_id) | (
            (pc.field("prediction_id") == after.prediction_id) & (pc.field("row") > after.row)
        )
        is_on_page &= (pc.field("time") < time) | ((pc.field("time") == time) & is_later_row)
    try:
        table = parse_log(data).filter(is_on_page)
    except (pa.ArrowException, OSError):
        table = LOG_SCHEMA.empty_table()  # the drift job counts unreadable files in its verdict
    return table.to_pandas()
