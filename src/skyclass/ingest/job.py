"""The ingest job: merges the rows of a source into the observations table."""

import hashlib
import io
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from skyclass.errors import CatalogError, StoreError
from skyclass.ingest.validation import ValidationResult, validate_rows
from skyclass.ingest.violations import MAX_EXAMPLES, describe_rows, split_reason
from skyclass.sources import Batch, Source
from skyclass.storage.parts import gather
from skyclass.storage.prefetch import prefetch
from skyclass.storage.s3 import ObjectStore
from skyclass.storage.table_spec import Watermark
from skyclass.survey.observation import OPTIONAL_COLUMNS, ROW_COLUMNS, find_eras
from skyclass.tables.observations import SCHEMA, ObservationsTable

logger = logging.getLogger(__name__)

REJECTED_PREFIX = "rejected"

_BATCHES_AHEAD = 4
"""Batches that are read and validated while a part is committed."""

_PARQUET = "application/vnd.apache.parquet"


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


class _ValidatedBatch(NamedTuple):
    """A batch, the validation of its rows, and the position in the source before it."""

    batch: Batch
    result: ValidationResult
    watermark: int

    @property
    def rows_in(self) -> int:
        return self.batch.rows.num_rows + len(self.batch.malformed)


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
    batches = prefetch(_validate(source, resumed_after), _BATCHES_AHEAD)
    for part in gather(_report(batches, progress), lambda batch: batch.rows_in):
        total = _add(total, _ingest_part(part, source, table, store))
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


def _validate(source: Source, position: int) -> Iterator[_ValidatedBatch]:
    for batch in source.read_batches(position):
        yield _ValidatedBatch(batch, validate_rows(batch.rows), position)
        position = batch.position


def _report(
    batches: Iterable[_ValidatedBatch], progress: Callable[[int], None]
) -> Iterator[_ValidatedBatch]:
    rows = 0
    for batch in batches:
        rows += batch.rows_in
        progress(rows)
        yield batch


def _ingest_part(
    part: list[_ValidatedBatch], source: Source, table: ObservationsTable, store: ObjectStore
) -> Accounting:
    rejected = reduce(_add, [_quarantine(batch, source, store) for batch in part])
    rows = pa.concat_tables([_add_provenance(batch, source) for batch in part])
    watermark = Watermark(source.watermark_id, part[0].watermark, part[-1].batch.position)
    merged = table.merge(rows, watermark)
    accepted = Accounting(
        source=source.name,
        version=merged.version,
        rows_in=rows.num_rows,
        inserted=merged.inserted,
        updated=merged.updated,
        duplicates=rows.num_rows - merged.inserted - merged.updated,
    )
    return _add(rejected, accepted)


def _quarantine(each: _ValidatedBatch, source: Source, store: ObjectStore) -> Accounting:
    """Write the rejected rows of a batch, and account for what is not in the table."""
    batch, result = each.batch, each.result
    malformed = pa.table({"reason": pa.array(batch.malformed, pa.string())})
    rejected = pa.concat_tables([result.rejected, malformed], promote_options="default")
    if rejected.num_rows:
        key = f"{REJECTED_PREFIX}/{_make_batch_id(each, source)}.parquet"
        store.put(store.settings.data_bucket, key, _to_parquet(rejected), _PARQUET)
        logger.warning("%d rows rejected, written to %s", rejected.num_rows, key)
    if result.discarded:
        logger.warning("values of optional inputs were discarded: %s", result.discarded)
    return Accounting(
        source=source.name,
        version=0,
        rows_in=rejected.num_rows,
        rejected=rejected.num_rows,
        not_measured=result.not_measured,
        coded_classes=batch.coded_classes,
        reasons=dict(Counter(rejected["reason"].to_pylist()).most_common()),
        examples=_describe_rejected(result.rejected) | dict.fromkeys(batch.malformed, ()),
        discarded=result.discarded,
    )


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


def _add_provenance(batch: _ValidatedBatch, source: Source) -> pa.Table:
    """Return the valid rows in the table's schema; optional inputs that they lack are null."""
    rows = batch.result.valid
    columns = {
        name: rows[name] if name in rows.column_names else pa.nulls(rows.num_rows, pa.float64())
        for name in (*ROW_COLUMNS, *OPTIONAL_COLUMNS)
    }
    nights = rows["mjd"].combine_chunks().dictionary_encode()
    columns["era"] = pa.array(find_eras(nights.dictionary), pa.string()).take(nights.indices)
    provenance = {
        "source": source.name,
        "batch_id": _make_batch_id(batch, source),
        "ingested_at": datetime.now(UTC),
    }
    for name, value in provenance.items():
        columns[name] = pa.repeat(pa.scalar(value, SCHEMA.field(name).type), rows.num_rows)
    return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)


def _make_batch_id(batch: _ValidatedBatch, source: Source) -> str:
    """Return an id that depends on the place in the source alone, so that a retry has the same."""
    text = f"{source.watermark_id}#{batch.watermark}-{batch.batch.position}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _to_parquet(rows: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(rows, buffer)
    return buffer.getvalue()
