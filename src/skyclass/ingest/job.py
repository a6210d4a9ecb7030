"""Carries observations from a source into the table, and accounts for every row."""

import hashlib
import io
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa

from skyclass.errors import CatalogError, StoreError
from skyclass.ingest.expectations import describe, split_reason
from skyclass.ingest.validation import ValidationResult, validate_rows
from skyclass.sources import Batch, Source
from skyclass.storage.prefetch import prefetch
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.observation import KEY, find_eras
from skyclass.tables.observations import SCHEMA, ObservationsTable

logger = logging.getLogger(__name__)

REJECTED_PREFIX = "rejected"
_PARQUET = "application/vnd.apache.parquet"


@dataclass(frozen=True)
class Accounting:
    """What became of every row that an ingest read.

    Attributes:
        source: The source's name.
        version: The table's version afterwards.
        rows_in: Rows read.
        inserted: Rows whose key was new.
        updated: Rows that corrected or completed an observation, such as a label that came late.
        duplicates: Rows that said nothing new.
        rejected: Rows that were unfit; kept beside the table with the reason.
        not_measured: Values that carried the survey's sentinel and became null.
        resumed_after: Position of the source where an earlier ingest had left off.
        reasons: How often each reason of rejection occurred.
        examples: Some of the rows rejected for each, in words.
    """

    source: str
    version: int
    rows_in: int = 0
    inserted: int = 0
    updated: int = 0
    duplicates: int = 0
    rejected: int = 0
    not_measured: int = 0
    resumed_after: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    examples: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def is_balanced(self) -> bool:
        """Whether every row read is accounted for."""
        return self.rows_in == self.inserted + self.updated + self.duplicates + self.rejected


def ingest(
    source: Source,
    table: ObservationsTable,
    store: ObjectStore,
    progress: Callable[[int], None] = lambda rows: None,
) -> Accounting:
    """Bring what is new in a source into the observations table.

    Rejected rows are written before the table is: a kill in between leaves a file that the next
    ingest writes again with the same key and the same bytes. Replaying a batch changes nothing.

    Args:
        source: Where the observations come from.
        table: Where they go.
        store: Takes the rejected rows.
        progress: Told how many rows have been read, after each batch.

    Raises:
        CatalogError: The source cannot be read.
        StoreError: The object store failed, or the accounting does not balance.
    """
    resumed_after = table.watermark(source.watermark_id)
    total = Accounting(source.name, version=0, resumed_after=resumed_after)
    position = resumed_after
    batches = ((batch, validate_rows(batch.rows)) for batch in source.read_batches(resumed_after))
    for batch, checked in prefetch(batches):
        total = _add(total, _ingest_batch(batch, checked, position, source, table, store))
        position = batch.position
        progress(total.rows_in)
    if not total.is_balanced:
        raise StoreError(f"the accounting of {source.name} does not balance ({total}): report it")
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
    checked: ValidationResult,
    since: int,
    source: Source,
    table: ObservationsTable,
    store: ObjectStore,
) -> Accounting:
    valid = checked.valid
    if valid.duplicated(list(KEY)).any():
        # As between batches, the later row wins and a null never overwrites a value.
        valid = valid.groupby(list(KEY), sort=False, as_index=False).last()
    batch_id = _batch_id(source, since, batch.position)
    columns = checked.rejected.columns
    torn = pd.DataFrame({"reason": batch.malformed}, columns=columns, dtype="string")
    rejected = pd.concat([checked.rejected, torn], ignore_index=True)
    if len(rejected):
        key = f"{REJECTED_PREFIX}/{batch_id}.parquet"
        store.put(store.settings.data_bucket, key, _parquet(rejected), _PARQUET)
        logger.warning("%d rows rejected, kept in %s", len(rejected), key)
    origin = {"source": source.name, "batch_id": batch_id, "ingested_at": datetime.now(UTC)}
    rows = _table(valid, origin)
    merged = table.merge(rows, source.watermark_id, since, batch.position)
    rows_in = len(batch.rows) + len(batch.malformed)
    return Accounting(
        source=source.name,
        version=merged.version,
        rows_in=rows_in,
        inserted=merged.inserted,
        updated=merged.updated,
        duplicates=len(checked.valid) - merged.inserted - merged.updated,
        rejected=len(rejected),
        not_measured=checked.not_measured,
        reasons={str(why): int(n) for why, n in rejected["reason"].value_counts().items()},
        examples={
            str(why): describe(rows, split_reason(str(why))[0])
            for why, rows in checked.rejected.groupby("reason")
        }
        | dict.fromkeys(batch.malformed, ()),
    )


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
        resumed_after=total.resumed_after,
        reasons=dict(reasons.most_common()),
        examples={**part.examples, **total.examples},
    )


def _table(rows: pd.DataFrame, origin: dict[str, object]) -> pa.Table:
    """The rows as the table has them, with what is the same for all of them."""
    rows = rows.assign(era=find_eras(rows["mjd"]))
    columns = {
        field.name: pa.repeat(pa.scalar(origin[field.name], field.type), len(rows))
        if field.name in origin
        else pa.array(rows[field.name], field.type, from_pandas=True)
        for field in SCHEMA
    }
    return pa.table(columns, schema=SCHEMA)


def _batch_id(source: Source, since: int, position: int) -> str:
    """Name a batch by its place in its source, so that a replay has the same name."""
    return hashlib.sha256(f"{source.watermark_id}#{since}-{position}".encode()).hexdigest()[:16]


def _parquet(rows: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.to_parquet(buffer, index=False)
    return buffer.getvalue()
