"""Write the prediction log.

A batch of rows becomes one object whose key and bytes are fixed before the first write, so that a
repeated write replaces the object by itself: rows are never duplicated.
"""

import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skyclass.storage.s3 import PARQUET_TYPE, ObjectStore
from skyclass.survey.features import OPTIONAL_INPUTS, Mode
from skyclass.survey.observation import MEASUREMENTS
from skyclass.tables.log.layout import list_hours, make_hour_prefix
from skyclass.tables.log.schema import LOG_FORMAT, LOG_SCHEMA, PROBABILITIES

_TIME = LOG_SCHEMA.field("time").type
# It is encoded in the predictor's process. Compressing measurements would save little, and their
# dictionaries would take longer than all the rest; probabilities are widened single precision. No
# reader uses statistics: windows are selected by prefix.
_COMPRESSIONS = {
    **dict.fromkeys(LOG_SCHEMA.names, "snappy"),
    **dict.fromkeys((*MEASUREMENTS, *OPTIONAL_INPUTS[Mode.PHOTOMETRIC]), "none"),
    **dict.fromkeys(("prediction_id", "request_id"), "zstd"),
}
_ENCODING: dict[str, Any] = {
    "compression": _COMPRESSIONS,
    "write_statistics": False,
    "use_dictionary": [field.name for field in LOG_SCHEMA if field.type == pa.string()],
    "use_byte_stream_split": list(PROBABILITIES),
    "store_schema": False,  # readers see the types of LOG_SCHEMA, not the dictionaries in memory
}


@dataclass(frozen=True)
class LogBatch:
    """A file of the log that is ready to be written.

    Attributes:
        key: Its key in the logs bucket.
        data: The Parquet file.
        rows: Number of rows.
    """

    key: str
    data: bytes
    rows: int


def encode_log(rows: pa.Table, name: str) -> list[LogBatch]:
    """Encode rows as files of the log, one for each hour of their times.

    Args:
        rows: As for `encode_file`.
        name: Name of the files without suffix; no other call for the same hours may use it.
    """
    bounds = pc.min_max(rows["time"]).as_py()
    hours = list(list_hours(bounds["min"], bounds["max"] + timedelta(microseconds=1)))
    batches = []
    for hour in hours:
        part = rows if len(hours) == 1 else rows.filter(_is_in_hour(hour))
        if len(part):
            key = f"{make_hour_prefix(hour)}{name}.parquet"
            batches.append(LogBatch(key, encode_file(part), len(part)))
    return batches


def _is_in_hour(hour: datetime) -> pc.Expression:
    start, end = (pa.scalar(time, _TIME) for time in (hour, hour + timedelta(hours=1)))
    return (pc.field("time") >= start) & (pc.field("time") < end)


def encode_file(rows: pa.Table) -> bytes:
    """Encode rows as one Parquet file of the log.

    Columns that may have null values cost twice as much to encode as columns that have none.

    Args:
        rows: Columns of `LOG_SCHEMA`; texts may be dictionaries. Columns may be absent if all their
            values are null, except for the idempotency key: a file without it was written by an
            older version.
    """
    schema = pa.schema(
        [field.with_nullable(rows[field.name].null_count > 0) for field in rows.schema]
    )
    sink = io.BytesIO()
    LOG_FORMAT.write_parquet(rows.cast(schema), sink, **_ENCODING)
    return sink.getvalue()


def write_batch(store: ObjectStore, batch: LogBatch) -> None:
    """Write a batch; a retry writes the same bytes to the same key.

    Raises:
        StoreError: It is not known whether the batch was written: retry.
    """
    store.put(store.settings.logs_bucket, batch.key, batch.data, PARQUET_TYPE)
