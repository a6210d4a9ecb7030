"""Which rows of the observations table a training run uses: the newest, and of many a sample.

The rows of the sample are those whose keys have the smallest hashes. They depend neither on the
order of the rows nor on the random hold-out, and a row that is added replaces at most one other.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import KEY
from skyclass.tables.observations import ObservationsTable

SAMPLE_ROWS = 1_000_000
"""Largest number of rows that a model is trained and evaluated on; it bounds time and memory."""

_LAST_NIGHT = 2**31 - 1
_HASH_SEED = 1
"""Makes the hashes independent of those that select the random hold-out."""

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Selection:
    """The rows that a training run uses.

    Attributes:
        first_night: Oldest night (MJD) of the newest rows.
        complete_rows: Rows from this night on that have a class and every input of the mode.
        newest_rows: Maximum number of these rows that are considered, the newest first.
        sample_rows: Maximum number of these rows that are used.
    """

    first_night: int
    complete_rows: int
    newest_rows: int
    sample_rows: int

    @property
    def is_sample(self) -> bool:
        """Whether a sample of the rows is used."""
        return min(self.complete_rows, self.newest_rows) > self.sample_rows

    @property
    def share(self) -> float:
        """Share of the rows to read, so that enough of them are complete (5 standard errors)."""
        if not self.is_sample:
            return 1.0
        return min((self.sample_rows + 5 * self.sample_rows**0.5) / self.complete_rows, 1.0)


def select_rows(
    table: ObservationsTable, version: int, mode: Mode, newest_rows: int, sample_rows: int
) -> Selection:
    """Find the nights of the newest rows, and whether a sample of them is used.

    Args:
        table: The observations.
        version: Version of the table.
        mode: Mode to train.
        newest_rows: Maximum number of rows to consider, the newest first.
        sample_rows: Maximum number of rows to use.
    """
    counts: Counter[int] = Counter()
    for batch in table.read_batches(version, ["mjd", "class", *INPUTS[mode]]):
        nights, rows = np.unique(batch.drop_null()["mjd"].to_numpy(), return_counts=True)
        counts.update(dict(zip(nights.tolist(), rows.tolist(), strict=True)))
    first_night, found = 0, 0
    for night in sorted(counts, reverse=True):
        if found >= newest_rows:
            break
        first_night, found = night, found + counts[night]
    return Selection(first_night, found, newest_rows, sample_rows)


def read_selected(
    table: ObservationsTable, version: int, columns: list[str], selection: Selection
) -> pd.DataFrame:
    """Read the nights of a selection, or a sample of their rows, in order of time.

    Rows that lack a class or an input are read, too. Memory depends on the size of the sample, not
    of the table.
    """
    nights = (selection.first_night, _LAST_NIGHT)
    if not selection.is_sample:
        return table.read(version, columns, nights)
    limit = np.uint64(selection.share * np.iinfo(np.uint64).max)
    return table.read(
        version, columns, nights, lambda batch: hash_keys(batch.select(KEY).to_pandas()) < limit
    )


def draw_sample(rows: pd.DataFrame, size: int) -> pd.DataFrame:
    """Return the rows with the smallest hashes, in their order; all if there are no more.

    Args:
        rows: Columns `KEY` and others.
        size: Maximum number of rows.
    """
    if len(rows) <= size:
        return rows
    smallest = np.argpartition(hash_keys(rows), size)[:size]
    return rows.iloc[np.sort(smallest)]


def hash_keys(rows: pd.DataFrame) -> Hashes:
    """Return a number for each key that is uniformly distributed, shape (n,)."""
    keys = rows[list(KEY)].astype("int64").assign(seed=_HASH_SEED)
    return np.asarray(pd.util.hash_pandas_object(keys, index=False), dtype=np.uint64)
