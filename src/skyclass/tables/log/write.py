"""Write the prediction log."""

import io
import uuid
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
        key = f"{make_hour_prefix(hour.as_py())}{writer}-{uuid.uuid4()}.parquet"
        store.put(store.settings.logs_bucket, key, sink.getvalue(), _CONTENT_TYPE)
        keys.append(key)
    return keys
