"""The sample of a window, stored beside its verdict.

Labels arrive for days after a window was evaluated. They are joined to the stored sample, so the
prediction log is read once for each window.
"""

import io
import logging

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from skyclass.errors import one_line
from skyclass.monitoring.documents import SAMPLE, window_prefix
from skyclass.monitoring.verdict import DriftVerdict
from skyclass.monitoring.windows import get_schema
from skyclass.storage.formats import Format
from skyclass.storage.s3 import PARQUET_TYPE, ObjectMissingError, ObjectStore

logger = logging.getLogger(__name__)

_FORMAT = Format("sample of a window", "0.2.0")


def save_sample(store: ObjectStore, verdict: DriftVerdict, rows: pd.DataFrame) -> None:
    """Store the rows that a verdict is about, before the verdict.

    Args:
        store: The object store.
        verdict: The verdict.
        rows: Rows as returned by `read_window`.
    """
    table = pa.Table.from_pandas(rows, schema=get_schema(verdict.mode), preserve_index=False)
    sink = io.BytesIO()
    _FORMAT.write_parquet(table, sink, compression="zstd")
    key = window_prefix(verdict.mode, verdict.window_end) + SAMPLE
    store.put(store.settings.reports_bucket, key, sink.getvalue(), PARQUET_TYPE)


def load_sample(store: ObjectStore, verdict: DriftVerdict) -> pd.DataFrame | None:
    """Load the rows that a verdict is about.

    Returns:
        Rows as returned by `read_window`. None if they are not stored, as by older versions, or are
        not those of the verdict: a job that was killed between them leaves a newer sample.
    """
    key = window_prefix(verdict.mode, verdict.window_end) + SAMPLE
    try:
        data = store.get(store.settings.reports_bucket, key)
        _FORMAT.check_parquet(pq.read_metadata(pa.BufferReader(data)), key)
        table = pq.read_table(pa.BufferReader(data), schema=get_schema(verdict.mode))
        table.validate(full=True)  # text that is not UTF-8
    except ObjectMissingError:
        return None
    except (pa.ArrowException, OSError) as error:
        logger.warning("%s cannot be read, the log is read instead: %s", key, one_line(error))
        return None
    is_of_verdict = len(table) == verdict.window_rows and table[
        "model_version"
    ].unique().to_pylist() in ([], [verdict.release])
    return table.to_pandas() if is_of_verdict else None
