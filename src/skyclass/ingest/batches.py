"""Batches of a source as rows of the observations table, prepared in the background."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from skyclass.ingest.accounting import Accounting
from skyclass.ingest.validation import validate_rows
from skyclass.ingest.violations import MAX_EXAMPLES, describe_rows, split_reason
from skyclass.sources import Batch, Source
from skyclass.storage.prefetch import prefetch
from skyclass.storage.table_spec import Watermark
from skyclass.survey.observation import OPTIONAL_COLUMNS, ROW_COLUMNS, find_eras
from skyclass.tables.observations import SCHEMA

_BATCHES_AHEAD = 2
"""Batches that are prepared while a part is committed."""


@dataclass(frozen=True)
class TableBatch:
    """A validated batch.

    Attributes:
        id: Depends on the place in the source alone, so that a retry has the same.
        watermark: The step in the source.
        rows: Valid rows, in the schema of the observations table.
        rejected: The other rows as text, with the column `reason`; of malformed lines only this.
        accounting: The outcome of the rejected rows, and counts of values.
    """

    id: str
    watermark: Watermark
    rows: pa.Table
    rejected: pa.Table
    accounting: Accounting

    @property
    def rows_in(self) -> int:
        """Number of rows read."""
        return self.rows.num_rows + self.rejected.num_rows


def read_table_batches(source: Source, position: int) -> Iterator[TableBatch]:
    """Read and validate the batches after a position, each in a thread beside the caller's.

    Raises:
        CatalogError: The source cannot be read.
    """
    return prefetch(_prepare_batches(source, position), _BATCHES_AHEAD)


def _prepare_batches(source: Source, position: int) -> Iterator[TableBatch]:
    for batch in prefetch(source.read_batches(position)):
        watermark = Watermark(source.watermark_id, position, batch.position)
        yield _prepare(batch, source.name, watermark)
        position = batch.position


def _prepare(batch: Batch, source: str, watermark: Watermark) -> TableBatch:
    text = f"{watermark.id}#{watermark.before}-{watermark.after}"
    batch_id = hashlib.sha256(text.encode()).hexdigest()[:16]
    result = validate_rows(batch.rows)
    malformed = pa.table({"reason": pa.array(batch.malformed, pa.string())})
    rejected = pa.concat_tables([result.rejected, malformed], promote_options="default")
    accounting = Accounting(
        source=source,
        version=0,
        rows_in=rejected.num_rows,
        rejected=rejected.num_rows,
        not_measured=result.not_measured,
        coded_classes=batch.coded_classes,
        reasons=dict(Counter(rejected["reason"].to_pylist()).most_common()),
        examples=_describe_rejected(result.rejected) | dict.fromkeys(batch.malformed, ()),
        discarded=result.discarded,
    )
    rows = _add_provenance(result.valid, source, batch_id)
    return TableBatch(batch_id, watermark, rows, rejected, accounting)


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


def _add_provenance(valid: pa.Table, source: str, batch_id: str) -> pa.Table:
    """Return valid rows in the table's schema; optional inputs that they lack are null."""
    nothing = pa.nulls(valid.num_rows, pa.float64())  # shared, because it takes memory
    columns = {
        name: valid[name] if name in valid.column_names else nothing
        for name in (*ROW_COLUMNS, *OPTIONAL_COLUMNS)
    }
    nights = valid["mjd"].combine_chunks().dictionary_encode()
    columns["era"] = pa.array(find_eras(nights.dictionary), pa.string()).take(nights.indices)
    provenance = {"source": source, "batch_id": batch_id, "ingested_at": datetime.now(UTC)}
    for name, value in provenance.items():
        columns[name] = pa.repeat(pa.scalar(value, SCHEMA.field(name).type), valid.num_rows)
    return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)
