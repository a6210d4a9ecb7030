"""How predictions are kept: the prediction log, and the reference that comes with a release.

The log is flat Parquet under `date=YYYY-MM-DD/hour=HH/`, each row under the hour of its own time,
so a window of time is a handful of prefixes. The predictor writes it and monitoring reads it; this
contract is all that they share.
"""

import io
import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import CLASSES, KEY, MEASUREMENTS

logger = logging.getLogger(__name__)

PROBABILITIES = tuple(f"p_{name}" for name in CLASSES)
"""Columns of the class probabilities, in the order of `CLASSES`."""

_PARQUET = "application/vnd.apache.parquet"
_INPUTS_AND_ANSWER = [
    *((name, pa.int32()) for name in KEY),  # null when the caller gave no key
    *((name, pa.float64()) for name in MEASUREMENTS),  # redshift is null in photometric mode
    ("predicted", pa.string()),
    *((name, pa.float64()) for name in PROBABILITIES),
]

LOG_SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("us", tz="UTC")),
        ("request_id", pa.string()),
        ("row", pa.int32()),
        ("model_version", pa.string()),
        ("mode", pa.string()),
        *_INPUTS_AND_ANSWER,
    ]
)
"""One row per answered object. (`request_id`, `row`) identifies it, `model_version` is the
release's id."""

# Measured numbers do not repeat: to look for repetitions among them takes three times as long as
# all the rest, in the process that answers requests. Statistics help nobody: hours are prefixes.
_ENCODING: dict[str, Any] = {
    "compression": "zstd",
    "write_statistics": False,
    "use_dictionary": [field.name for field in LOG_SCHEMA if field.type == pa.string()],
    "use_byte_stream_split": [field.name for field in LOG_SCHEMA if field.type == pa.float64()],
}

REFERENCE_SCHEMA = pa.schema([*_INPUTS_AND_ANSWER, ("class", pa.string())])
"""A release's `reference.parquet`: hold-out rows with the release's own answers and the label."""

MAX_REFERENCE_ROWS = 50_000


@dataclass(frozen=True)
class LogRead:
    """What was found in the prediction log.

    Attributes:
        rows: Columns of `LOG_SCHEMA`, all rows of the window that could be read.
        files: Files that were read.
        unreadable: Keys of files that are no Parquet of this schema.
    """

    rows: pd.DataFrame
    files: int
    unreadable: tuple[str, ...]


def write_log(store: ObjectStore, rows: pa.Table, writer: str) -> list[str]:
    """Append rows to the prediction log.

    Args:
        store: The object store.
        rows: Schema `LOG_SCHEMA`.
        writer: Names the writing process (the pod).

    Returns:
        The keys that were written: one per hour that occurs in the rows.
    """
    hours = pc.floor_temporal(rows["time"], unit="hour")
    keys = []
    occurring = pc.unique(hours)
    for hour in occurring:
        part = rows if len(occurring) == 1 else rows.filter(pc.equal(hours, hour))
        sink = io.BytesIO()
        pq.write_table(part, sink, **_ENCODING)
        key = f"{_hour_prefix(hour.as_py())}{writer}-{uuid.uuid4()}.parquet"
        store.put(store.settings.logs_bucket, key, sink.getvalue(), _PARQUET)
        keys.append(key)
    return keys


def read_log(
    store: ObjectStore, start: datetime, end: datetime, mode: Mode, model_version: str
) -> LogRead:
    """Read the answers of one release in a window of time.

    Args:
        store: The object store.
        start: The window's start (UTC), included.
        end: The window's end (UTC), excluded.
        mode: The mode of the release.
        model_version: The release's id.
    """
    wanted = (
        (pc.field("time") >= pa.scalar(start, LOG_SCHEMA.field("time").type))
        & (pc.field("time") < pa.scalar(end, LOG_SCHEMA.field("time").type))
        & (pc.field("mode") == str(mode))
        & (pc.field("model_version") == model_version)
    )
    tables, unreadable = [LOG_SCHEMA.empty_table()], []
    for key in _keys(store, start, end):
        data = store.get(store.settings.logs_bucket, key)
        try:
            table = pq.read_table(io.BytesIO(data), schema=LOG_SCHEMA)
        except (pa.ArrowException, OSError) as error:
            logger.warning("%s cannot be read (%s), left out", key, str(error).splitlines()[0])
            unreadable.append(key)
        else:
            tables.append(table.filter(wanted))
    return LogRead(
        rows=pa.concat_tables(tables).to_pandas(),
        files=len(tables) - 1,
        unreadable=tuple(unreadable),
    )


def read_reference(data: bytes) -> pd.DataFrame:
    """Read a release's `reference.parquet`: columns of `REFERENCE_SCHEMA`."""
    return pq.read_table(io.BytesIO(data), schema=REFERENCE_SCHEMA).to_pandas()


def day_prefix(day: date) -> str:
    """Where the log of a day (UTC) lies in the logs bucket."""
    return f"date={day:%Y-%m-%d}/"


def _keys(store: ObjectStore, start: datetime, end: datetime) -> Iterator[str]:
    hour = start.replace(minute=0, second=0, microsecond=0)
    while hour < end:
        yield from store.list_keys(store.settings.logs_bucket, _hour_prefix(hour))
        hour += timedelta(hours=1)


def _hour_prefix(time: datetime) -> str:
    return f"{day_prefix(time)}hour={time:%H}/"
