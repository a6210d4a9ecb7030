"""The newest answers in the prediction log, page by page.

Files are read one at a time, the newest hours first, and only the rows of the page are kept: memory
stays that of one file however much has been logged.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.prediction_log import LOG_SCHEMA, day_prefix

LOOKED_BACK = timedelta(days=14)
"""A page does not look further back than this for its rows."""

_TIME = LOG_SCHEMA.field("time").type
_CURSOR = re.compile(r"(\d{1,17})\.(\d{1,9})\.(.{1,200})")


@dataclass(frozen=True)
class Cursor:
    """The last row of a page: the next page begins after it.

    Attributes:
        time: When it was answered.
        row: Its place in the request.
        request_id: Its request.
    """

    time: datetime
    row: int
    request_id: str

    def __str__(self) -> str:
        """The cursor as it stands in an address."""
        microseconds = (self.time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        return f"{microseconds}.{self.row}.{self.request_id}"

    @classmethod
    def parse(cls, text: str) -> "Cursor | None":
        """Read a cursor from an address; None when it is none."""
        found = _CURSOR.fullmatch(text)
        if not found:
            return None
        since = timedelta(microseconds=int(found[1]))
        return cls(datetime(1970, 1, 1, tzinfo=UTC) + since, int(found[2]), found[3])


@dataclass(frozen=True)
class Page:
    """Some of the newest answers.

    Attributes:
        rows: Columns of `LOG_SCHEMA`, the newest first.
        next: Where the next page begins; none when there is no more within `LOOKED_BACK`.
    """

    rows: pd.DataFrame
    next: Cursor | None


def recent_answers(
    store: ObjectStore, mode: Mode, size: int, now: datetime, after: Cursor | None = None
) -> Page:
    """One page of the newest answers of a mode.

    Args:
        store: The object store.
        mode: Whose answers.
        size: Rows on a page.
        now: The present time.
        after: The last row of the page before.
    """
    newest = after.time if after else now
    kept = LOG_SCHEMA.empty_table().to_pandas()
    for keys in _hours(store, newest, newest - LOOKED_BACK):
        for key in keys:
            found = _rows(store, key, mode, after)
            kept = pd.concat([kept, found] if len(kept) else [found])
            newest_first = kept.sort_values(
                ["time", "request_id", "row"], ascending=[False, True, True]
            )
            kept = newest_first.head(size + 1)
        if len(kept) > size:
            break
    page = kept.head(size).reset_index(drop=True)
    if len(kept) <= size:
        return Page(page, None)
    last = page.iloc[-1]
    return Page(page, Cursor(last["time"].to_pydatetime(), int(last["row"]), last["request_id"]))


def _hours(store: ObjectStore, newest: datetime, oldest: datetime) -> Iterator[list[str]]:
    """The files of each hour that has some, the newest hour first."""
    day = newest.date()
    while day >= oldest.date():
        by_hour: dict[str, list[str]] = {}
        for key in store.list_keys(store.settings.logs_bucket, day_prefix(day)):
            by_hour.setdefault(key.rsplit("/", 1)[0], []).append(key)
        for hour in sorted(by_hour, reverse=True):
            yield by_hour[hour]
        day -= timedelta(days=1)


def _rows(store: ObjectStore, key: str, mode: Mode, after: Cursor | None) -> pd.DataFrame:
    data = store.get(store.settings.logs_bucket, key)
    wanted = pc.field("mode") == str(mode)
    if after:
        then = pa.scalar(after.time, _TIME)
        beyond = (pc.field("request_id") > after.request_id) | (
            (pc.field("request_id") == after.request_id) & (pc.field("row") > after.row)
        )
        wanted &= (pc.field("time") < then) | ((pc.field("time") == then) & beyond)
    try:
        table = pq.read_table(io.BytesIO(data), schema=LOG_SCHEMA).filter(wanted)
    except (pa.ArrowException, OSError):
        table = LOG_SCHEMA.empty_table()  # the drift job counts it, and says so in its verdict
    return table.to_pandas()
