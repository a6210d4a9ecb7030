"""The ingest job: merges the rows of a source into the observations table."""

import io
import logging
from collections.abc import Callable
from functools import reduce

import pyarrow as pa

from skyclass.errors import CatalogError, StoreError
from skyclass.ingest.accounting import Accounting
from skyclass.ingest.batches import TableBatch, read_table_batches
from skyclass.sources import Source
from skyclass.storage.formats import Format
from skyclass.storage.parts import gather
from skyclass.storage.s3 import PARQUET_TYPE, ObjectStore
from skyclass.storage.table_spec import join_watermarks
from skyclass.tables.observations import ObservationsTable

logger = logging.getLogger(__name__)

REJECTED_PREFIX = "rejected"

_REJECTED_FORMAT = Format("file of rejected rows", "0.2.0")


def ingest(
    source: Source,
    table: ObservationsTable,
    store: ObjectStore,
    progress: Callable[[int], None] = lambda rows: None,
) -> Accounting:
    """Merge the rows that follow a source's watermark into the observations table.

    The job is idempotent: a part of several batches is committed at once, together with the
    watermark. Rejected rows are written before the table is changed: after a kill in between, the
    next ingest overwrites these objects with the same bytes.

    Args:
        source: Source of the observations.
        table: Table to merge into.
        store: Object store for rejected rows.
        progress: Called with the number of rows read after each batch.

    Raises:
        CatalogError: The source cannot be read, or all of its rows were rejected.
        StoreError: The object store failed, or the accounting does not balance.
    """
    resumed_after = table.watermark(source.watermark_id)
    total = Accounting(source.name, version=0, resumed_after=resumed_after)
    batches = read_table_batches(source, resumed_after)
    for part in gather(batches, lambda batch: batch.rows_in, progress):
        total = total.add(_ingest_part(part, table, store))
        del part  # its rows would stay in memory until the next part is complete
    if not total.is_balanced:
        raise StoreError(f"the accounting of {source.name} does not balance: {total}: report a bug")
    if total.rows_in == 0:
        return total.add(Accounting(source.name, version=table.version()))
    if total.rejected == total.rows_in and not resumed_after:
        raise CatalogError(
            f"{source.name}: all {total.rows_in} rows were rejected "
            f"({next(iter(total.reasons))}): check the file's columns and units"
        )
    return total


def _ingest_part(
    part: list[TableBatch], table: ObservationsTable, store: ObjectStore
) -> Accounting:
    for batch in part:
        _quarantine(batch, store)
    rejected = reduce(Accounting.add, [batch.accounting for batch in part])
    rows = pa.concat_tables([batch.rows for batch in part])
    merged = table.merge(rows, *join_watermarks(batch.watermark for batch in part))
    accepted = Accounting(
        source=rejected.source,
        version=merged.version,
        rows_in=rows.num_rows,
        inserted=merged.inserted,
        updated=merged.updated,
        duplicates=rows.num_rows - merged.inserted - merged.updated,
    )
    return rejected.add(accepted)


def _quarantine(batch: TableBatch, store: ObjectStore) -> None:
    """Write the rejected rows of a batch."""
    rejected, discarded = batch.rejected, batch.accounting.discarded
    if rejected.num_rows:
        key = f"{REJECTED_PREFIX}/{batch.id}.parquet"
        store.put(store.settings.data_bucket, key, _to_parquet(rejected), PARQUET_TYPE)
        logger.warning("%d rows rejected, written to %s", rejected.num_rows, key)
    if discarded:
        logger.warning("values of optional inputs were discarded: %s", discarded)


def _to_parquet(rows: pa.Table) -> bytes:
    buffer = io.BytesIO()
    _REJECTED_FORMAT.write_parquet(rows, buffer)
    return buffer.getvalue()
