"""The ingest job: merges the rows of a source into the observations table."""

import hashlib
import io
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skyclass.errors import CatalogError, StoreError
from skyclass.ingest.validation import ValidationResult, validate_rows
from skyclass.ingest.violations import MAX_EXAMPLES, describe_rows, split_reason
from skyclass.sources import Batch, Source
from skyclass.storage.prefetch import prefetch
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.observation import KEY, OPTIONAL_COLUMNS, ROW_COLUMNS, find_eras
from skyclass.tables.observations import SCHEMA, ObservationsTable

logger = logging.getLogger(__name__)

REJECTED_PREFIX = "rejected"
_PARQUET = "application/vnd.apache.parquet"
_HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""An odd number without a pattern, which spreads keys over all 64-bit numbers."""


@dataclass(frozen=True)
class Accounting:
    """The outcome of every row that an ingest read.

    Attributes:
        source: Name of the source.
        version: Version of the table after the ingest.
        rows_in: Rows read.
        inserted: Rows with a new key.
        updated: Rows that changed a known observation, such as a late label.
        duplicates: Rows without a change.
        rejected: Invalid rows, written to the quarantine with their reasons.
        not_measured: Values that were a sentinel for "not measured" and became null.
        coded_classes: Rows whose class was a code, decoded with the source's option `classes`.
        resumed_after: Watermark of the source before the ingest.
        reasons: Number of rejected rows by reason.
        examples: Descriptions of some rejected rows by reason.
        discarded: Number of invalid values of optional inputs that became null, by reason.
    """

    source: str
    version: int
    rows_in: int = 0
    inserted: int = 0
    updated: int = 0
    duplicates: int = 0
    rejected: int = 0
    not_measured: int = 0
    coded_classes: int = 0
    resumed_after: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    examples: dict[str, tuple[str, ...]] = field(default_factory=dict)
    discarded: dict[str, int] = field(default_factory=dict)

    @property
    def is_balanced(self) -> bool:
        """Whether the counts of all outcomes add up to the rows read."""
        return self.rows_in == self.inserted + self.updated + self.duplicates + self.rejected


def ingest(
    source: Source,
    table: ObservationsTable,
    store: ObjectStore,
    progress: Callable[[int], None] = lambda rows: None,
) -> Accounting:
    """Merge the rows that follow a source's watermark into the observations table.

    The job is idempotent. Rejected rows are written before the table is changed: after a kill in
    between, the next ingest overwrites that object with the same bytes.

    Args:
        source: Source of the observations.
        table: Table to merge into.
        store: Object store for rejected rows.
        progress: Called after each batch with the number of rows read so far.

    Raises:
        CatalogError: The source cannot be read, or all of its rows were rejected.
        StoreError: The object store failed, or the accounting does not balance.
    """
    resumed_after = table.watermark(source.watermark_id)
    total = Accounting(source.name, version=0, resumed_after=resumed_after)
    position = resumed_after
    batches = ((batch, validate_rows(batch.rows)) for batch in source.read_batches(resumed_after))
    for batch, result in prefetch(batches):
        total = _add(total, _ingest_batch(batch, result, position, source, table, store))
        position = batch.position
        progress(total.rows_in)
    if not total.is_balanced:
        raise StoreError(f"the accounting of {source.name} does not balance: {total}: report a bug")
    if total.rows_in == 0:
        return _add(total, Accounting(source.name, version=table.version()))
    if total.rejected == total.rows_in and not resumed_after:
        raise CatalogError(
            f"{source.name}: all {total.rows_in} rows were rejected "
            f"({next(iter(total.reasons))}): check the file's columns and units"
        )
    return total


def _ingest_batch(
    batch: Batch,
    result: ValidationResult,
    watermark: int,
    source: Source,
    table: ObservationsTable,
    store: ObjectStore,
) -> Accounting:
    batch_id = _make_batch_id(source, watermark, batch.position)
    malformed = pa.table({"reason": pa.array(batch.malformed, pa.string())})
    rejected = pa.concat_tables([result.rejected, malformed], promote_options="default")
    if rejected.num_rows:
        key = f"{REJECTED_PREFIX}/{batch_id}.parquet"
        store.put(store.settings.data_bucket, key, _to_parquet(rejected), _PARQUET)
        logger.warning("%d rows rejected, written to %s", rejected.num_rows, key)
    if result.discarded:
        logger.warning("values of optional inputs were discarded: %s", result.discarded)
    provenance = {"source": source.name, "batch_id": batch_id, "ingested_at": datetime.now(UTC)}
    rows = _add_provenance(_drop_duplicate_keys(result.valid), provenance)
    merged = table.merge(rows, source.watermark_id, watermark, batch.position)
    return Accounting(
        source=source.name,
        version=merged.version,
        rows_in=batch.rows.num_rows + len(batch.malformed),
        inserted=merged.inserted,
        updated=merged.updated,
        duplicates=result.valid.num_rows - merged.inserted - merged.updated,
        rejected=rejected.num_rows,
        not_measured=result.not_measured,
        coded_classes=batch.coded_classes,
        reasons=dict(Counter(rejected["reason"].to_pylist()).most_common()),
        examples=_describe_rejected(result.rejected) | dict.fromkeys(batch.malformed, ()),
        discarded=result.discarded,
    )


def _drop_duplicate_keys(rows: pa.Table) -> pa.Table:
    """Merge rows of the same key: the last value that is not null wins, as between batches."""
    if _have_unique_keys(rows):
        return rows
    grouped = rows.group_by(list(KEY), use_threads=False)  # "last" needs the order of the rows
    others = [name for name in rows.column_names if name not in KEY]
    merged = grouped.aggregate([(name, "last") for name in others])
    return merged.rename_columns([name.removesuffix("_last") for name in merged.column_names])


def _have_unique_keys(rows: pa.Table) -> bool:
    """Return whether no key occurs twice; False may also mean that two keys share a hash."""
    hashes = np.zeros(rows.num_rows, np.uint64)
    for name in KEY:
        hashes = hashes * _HASH_FACTOR + rows[name].to_numpy().astype(np.uint64)
    hashes.sort()
    return not bool((hashes[1:] == hashes[:-1]).any())


def _describe_rejected(rejected: pa.Table) -> dict[str, tuple[str, ...]]:
    rows_of: dict[str, list[int]] = {}
    for row, reason in enumerate(rejected["reason"].to_pylist()):
        rows = rows_of.setdefault(reason, [])
        if len(rows) < MAX_EXAMPLES:
            rows.append(row)
    return {
        reason: describe_rows(rejected.take(rows).to_pylist(), split_reason(reason)[0])
        for reason, rows in rows_of.items()
    }


def _add(total: Accounting, part: Accounting) -> Accounting:
    reasons = Counter(total.reasons) + Counter(part.reasons)
    return Accounting(
        source=total.source,
        version=part.version,
        rows_in=total.rows_in + part.rows_in,
        inserted=total.inserted + part.inserted,
        updated=total.updated + part.updated,
        duplicates=total.duplicates + part.duplicates,
        rejected=total.rejected + part.rejected,
        not_measured=total.not_measured + part.not_measured,
        coded_classes=total.coded_classes + part.coded_classes,
        resumed_after=total.resumed_after,
        reasons=dict(reasons.most_common()),
        examples={**part.examples, **total.examples},
        discarded=dict(Counter(total.discarded) + Counter(part.discarded)),
    )


def _add_provenance(rows: pa.Table, provenance: dict[str, object]) -> pa.Table:
    """Return the rows in the table's schema; optional inputs that they lack are null."""
    columns = {
        name: rows[name] if name in rows.column_names else pa.nulls(rows.num_rows, pa.float64())
        for name in (*ROW_COLUMNS, *OPTIONAL_COLUMNS)
    }
    nights = rows["mjd"].combine_chunks().dictionary_encode()
    columns["era"] = pa.array(find_eras(nights.dictionary), pa.string()).take(nights.indices)
    for name, value in provenance.items():
        columns[name] = pa.repeat(pa.scalar(value, SCHEMA.field(name).type), rows.num_rows)
    return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)


def _make_batch_id(source: Source, watermark: int, position: int) -> str:
    """Return an id that depends on the place in the source alone, so that a retry has the same."""
    text = f"{source.watermark_id}#{watermark}-{position}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _to_parquet(rows: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(rows, buffer)
    return buffer.getvalue()
