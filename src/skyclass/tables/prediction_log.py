"""Schemas and access for the prediction log and for the reference rows of a release.

The log is Parquet under `date=YYYY-MM-DD/hour=HH/`; each row is stored under the hour of its time,
so a window is read from a few prefixes. The predictor writes the log, monitoring reads it.
"""

import io
import logging
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skyclass.errors import one_line
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import OPTIONAL_INPUTS, Mode
from skyclass.survey.observation import CLASSES, KEY, MEASUREMENTS

logger = logging.getLogger(__name__)

PROBABILITIES = tuple(f"p_{name}" for name in CLASSES)
"""Columns of the class probabilities, in the order of `CLASSES`."""

_CONTENT_TYPE = "application/vnd.apache.parquet"
_PREDICTION_FIELDS = [
    *((name, pa.int32()) for name in KEY),  # null if the request has no key
    *((name, pa.float64()) for name in MEASUREMENTS),  # redshift is null in photometric mode
    *((name, pa.float64()) for name in OPTIONAL_INPUTS[Mode.PHOTOMETRIC]),
    ("predicted", pa.string()),
    *((name, pa.float64()) for name in PROBABILITIES),
    ("out_of_domain", pa.bool_()),  # null if the release has no domain
]

LOG_SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("us", tz="UTC")),
        ("prediction_id", pa.string()),
        ("request_id", pa.string()),
        ("row", pa.int32()),
        ("model_version", pa.string()),
        ("mode", pa.string()),
        *_PREDICTION_FIELDS,
    ]
)
"""One row per predicted object, identified by (`prediction_id`, `row`).

`prediction_id` is the predictor's own id of the request, or the client's idempotency key.
`request_id` is the client's id, which may be the same for many requests. `model_version` is the id
of the release.
"""

# Measurements rarely repeat: dictionary encoding of them would take three times as long as all the
# rest, in the predictor's process. No reader uses statistics: windows are selected by prefix.
_ENCODING: dict[str, Any] = {
    "compression": "zstd",
    "write_statistics": False,
    "use_dictionary": [field.name for field in LOG_SCHEMA if field.type == pa.string()],
    "use_byte_stream_split": [field.name for field in LOG_SCHEMA if field.type == pa.float64()],
}

REFERENCE_SCHEMA = pa.schema([*_PREDICTION_FIELDS, ("class", pa.string())])
"""A release's `reference.parquet`: hold-out rows with the release's predictions and labels."""

MAX_REFERENCE_ROWS = 50_000


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


def write_log(store: ObjectStore, rows: pa.Table, writer: str) -> list[str]:
    """Append rows to the prediction log.

    Args:
        store: The object store.
        rows: Schema `LOG_SCHEMA`.
        writer: Unique name of the writing process, such as its pod.

    Returns:
        The keys of the files written, one per hour.
    """
    row_hours = pc.floor_temporal(rows["time"], unit="hour")
    keys = []
    hours = pc.unique(row_hours)
    for hour in hours:
        part = rows if len(hours) == 1 else rows.filter(pc.equal(row_hours, hour))
        sink = io.BytesIO()
        pq.write_table(part, sink, **_ENCODING)
        key = f"{_make_hour_prefix(hour.as_py())}{writer}-{uuid.uuid4()}.parquet"
        store.put(store.settings.logs_bucket, key, sink.getvalue(), _CONTENT_TYPE)
        keys.append(key)
    return keys


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


def parse_log(data: bytes) -> pa.Table:
    """Parse a file of the prediction log: columns of `LOG_SCHEMA`.

    Files of version 0.1.0 have no prediction ids; their rows are identified by the request id.

    Raises:
        pyarrow.ArrowException: The file is not Parquet of this schema.
        OSError: The file is truncated.
    """
    table = pq.read_table(io.BytesIO(data), schema=LOG_SCHEMA)
    ids = pc.coalesce(table["prediction_id"], table["request_id"])
    return table.set_column(
        table.column_names.index("prediction_id"), LOG_SCHEMA.field("prediction_id"), ids
    )


def read_reference(data: bytes) -> pd.DataFrame:
    """Read a release's `reference.parquet`: columns of `REFERENCE_SCHEMA`."""
    return pq.read_table(io.BytesIO(data), schema=REFERENCE_SCHEMA).to_pandas()


def make_day_prefix(day: date) -> str:
    """Return the prefix of a day (UTC) in the logs bucket."""
    return f"date={day:%Y-%m-%d}/"


def _list_keys(store: ObjectStore, start: datetime, end: datetime) -> Iterator[str]:
    hour = start.replace(minute=0, second=0, microsecond=0)
    while hour < end:
        yield from store.list_keys(store.settings.logs_bucket, _make_hour_prefix(hour))
        hour += timedelta(hours=1)


def _make_hour_prefix(time: datetime) -> str:
    return f"{make_day_prefix(time)}hour={time:%H}/"
