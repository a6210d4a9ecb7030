"""The interface of every source of observations."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

BATCH_ROWS = 200_000
"""Rows per batch. It bounds the memory of an ingest, whatever the size of the source."""


@dataclass(frozen=True)
class Batch:
    """Consecutive rows of a source.

    Attributes:
        rows: Columns `ROW_COLUMNS` and the `OPTIONAL_COLUMNS` that the source has, not validated;
            numbers may be text.
        position: Position in the source after these rows; the watermark once they are committed.
        malformed: One reason for each row that could not be split into fields.
        coded_classes: Number of rows whose class was a code.
    """

    rows: pa.Table
    position: int
    malformed: tuple[str, ...] = ()
    coded_classes: int = 0


class Source(Protocol):
    """An ordered, replayable stream of observations."""

    @property
    def name(self) -> str:
        """Value of the table's `source` column for rows of this source."""

    @property
    def watermark_id(self) -> str:
        """Identifier of the source's watermark. It changes when the content changes."""

    def read_batches(self, after: int) -> Iterator[Batch]:
        """Read the rows that follow position `after`; 0 reads from the start."""
