"""Read a window of the prediction log."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skyclass.errors import one_line
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.log.layout import make_hour_prefix
from skyclass.tables.log.schema import LOG_SCHEMA, parse_log

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LogWindow:
    """The predictions of one release in a window of time.

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


def read_log(
    store: ObjectStore, start: datetime, end: datetime, mode: Mode, model_version: str
) -> LogWindow:
    """Read the predictions of one release in a window of time.

    Unreadable files are skipped and listed in the result.

    Args:
        store: The object store.
        start: Start of the window (UTC), included.
        end: End of the window (UTC), excluded.
        mode: Mode of the release.
        model_version: Id of the release.
    """
    is_in_window = (
        (pc.field("time") >= pa.scalar(start, LOG_SCHEMA.field("time").type))
        & (pc.field("time") < pa.scalar(end, LOG_SCHEMA.field("time").type))
        & (pc.field("mode") == str(mode))
    )
    is_of_release = pc.field("model_version") == model_version
    tables, unreadable, others = [LOG_SCHEMA.empty_table()], [], Counter[str]()
    for key in _list_keys(store, start, end):
        data = store.get(store.settings.logs_bucket, key)
        try:
            table = parse_log(data)
        except (pa.ArrowException, OSError) as error:
            logger.warning("%s cannot be read, skipped: %s", key, one_line(error))
            unreadable.append(key)
        else:
            table = table.filter(is_in_window)
            tables.append(table.filter(is_of_release))
            others.update(table.filter(~is_of_release)["model_version"].to_pylist())
    return LogWindow(
        rows=pa.concat_tables(tables).to_pandas(),
        files=len(tables) - 1,
        unreadable=tuple(unreadable),
        other_releases=dict(sorted(others.items())),
    )


def _list_keys(store: ObjectStore, start: datetime, end: datetime) -> Iterator[str]:
    hour = start.replace(minute=0, second=0, microsecond=0)
    while hour < end:
        yield from store.list_keys(store.settings.logs_bucket, make_hour_prefix(hour))
        hour += timedelta(hours=1)
