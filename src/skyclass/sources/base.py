"""What every source of observations offers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

BATCH_ROWS = 200_000
"""Rows per batch: what bounds the memory of an ingest, whatever the size of its source."""


@dataclass(frozen=True)
class Batch:
    """A run of rows of a source.

    Attributes:
        rows: Columns `ROW_COLUMNS`, not yet validated.
        position: How far the source has been read once these rows are: its next watermark.
        torn: Why each row was left out that could not even be split into fields.
    """

    rows: pd.DataFrame
    position: int
    torn: tuple[str, ...] = ()


class Source(Protocol):
    """An ordered, replayable stream of observations."""

    @property
    def name(self) -> str:
        """What the rows' `source` column says."""

    @property
    def watermark_id(self) -> str:
        """Names this source's watermark; another content is another source."""

    def batches(self, after: int) -> Iterator[Batch]:
        """Read the rows that follow the position `after` (0: from the start)."""
