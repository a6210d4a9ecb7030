"""Write the prediction log.

A batch of rows becomes one object whose key and bytes are fixed before the first write, so that a
repeated write replaces the object by itself: rows are never duplicated.
"""

import io
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skyclass.storage.s3 import ObjectStore
from skyclass.tables.log.layout import make_hour_prefix
from skyclass.tables.log.schema import LOG_SCHEMA

_CONTENT_TYPE = "application/vnd.apache.parquet"

# Measurements rarely repeat: dictionary encoding of them would take three times as long as all the
# rest, in the predictor's process. No reader uses statistics: windows are selected by prefix.
_ENCODING: dict[str, Any] = {
    "compression": "zstd",
    "write_statistics": False,
    "use_dictionary": [field.name for field in LOG_SCHEMA if field.type == pa.string()],
    "use_byte_stream_split": [field.name for field in LOG_SCHEMA if field.type == pa.float64()],
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
        rows: Schema `LOG_SCHEMA`.
        name: Name of the files without suffix; no other call for the same hours may use it.
    """
    row_hours = pc.floor_temporal(rows["time"], unit="hour")
    hours = pc.unique(row_hours)
    batches = []
    for hour in hours:
        part = rows if len(hours) == 1 else rows.filter(pc.equal(row_hours, hour))
        key = f"{make_hour_prefix(hour.as_py())}{name}.parquet"
        batches.append(LogBatch(key, encode_file(part), len(part)))
    return batches


def encode_file(rows: pa.Table) -> bytes:
    """Encode rows as one Parquet file of the log.

    Args:
        rows: Schema `LOG_SCHEMA`.
    """
    sink = io.BytesIO()
    pq.write_table(rows, sink, **_ENCODING)
    return sink.getvalue()


def write_batch(store: ObjectStore, batch: LogBatch) -> None:
    """Write a batch; a retry writes the same bytes to the same key.

    Raises:
        StoreError: It is not known whether the batch was written: retry.
    """
    store.put(store.settings.logs_bucket, batch.key, batch.data, _CONTENT_TYPE)
