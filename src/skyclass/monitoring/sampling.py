"""A sample of a stream of rows that depends on the rows only, not on their order or files.

Each row has a seeded hash of its identity, and the rows with the smallest hashes are the sample.
"""

from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]

_HOUR_MICROSECONDS = 3_600_000_000


def hash_rows(rows: pa.Table, seed: int) -> Hashes:
    """Hash the identities of logged rows: the attempts of one request have equal hashes.

    Args:
        rows: Columns `idempotency_key`, `prediction_id` and `row`.
        seed: Whole number of at most 16 digits.

    Returns:
        Uniformly distributed, shape (n,).
    """
    request = pc.coalesce(rows["idempotency_key"], rows["prediction_id"], pa.scalar(""))
    identity = pd.DataFrame(
        {
            "request": request.combine_chunks().dictionary_encode().to_pandas(),
            "row": pc.fill_null(rows["row"], -1).to_numpy(),
        }
    )
    hashes = pd.util.hash_pandas_object(identity, index=False, hash_key=f"{seed:016d}")
    return np.asarray(hashes, np.uint64)


class RowSample:
    """The distinct rows with the smallest hashes.

    Of the rows of an hour with the same hash, which are attempts of one request, the earliest is
    distinct. Memory does not depend on the number of rows.
    """

    def __init__(self, size: int) -> None:
        """Create an empty sample.

        Args:
            size: Maximum number of rows.
        """
        self._size = size
        self._tables: list[pa.Table] = []
        self._hashes: list[Hashes] = []
        self._waiting = 0
        self._largest = np.iinfo(np.uint64).max

    def copy(self) -> Self:
        """Return a sample with the same rows, to which others can be added."""
        other = type(self)(self._size)
        other._tables, other._hashes = [*self._tables], [*self._hashes]
        other._waiting, other._largest = self._waiting, self._largest
        return other

    def add(self, rows: pa.Table, hashes: Hashes, is_valid: npt.NDArray[np.bool_]) -> None:
        """Add the valid ones of some rows.

        Args:
            rows: Any columns, the same in each call, with `time`.
            hashes: Their hashes, shape (n,).
            is_valid: Shape (n,).
        """
        is_candidate = is_valid & (hashes <= self._largest)
        self._tables.append(rows.filter(pa.array(is_candidate)))
        self._hashes.append(hashes[is_candidate])
        self._waiting += len(self._hashes[-1])
        if self._waiting > 2 * self._size:
            self._select()

    def to_table(self) -> pa.Table | None:
        """Return the sample in the order of time; None if no rows were added."""
        if not self._tables:
            return None
        self._select()
        times = get_times(self._tables[0])
        return self._tables[0].take(np.lexsort((self._hashes[0], times)))

    def _select(self) -> None:
        """Keep the rows of the sample."""
        rows, hashes = pa.concat_tables(self._tables), np.concatenate(self._hashes)
        times = get_times(rows)
        order = np.lexsort((times, hashes))
        hours = times[order] // _HOUR_MICROSECONDS
        is_distinct = find_changes(hashes[order]) | find_changes(hours)
        chosen = order[is_distinct][: self._size]
        self._tables, self._hashes = [rows.take(chosen).combine_chunks()], [hashes[chosen]]
        self._waiting = 0
        if len(chosen) == self._size:
            self._largest = self._hashes[0][-1]


def get_times(rows: pa.Table) -> npt.NDArray[np.int64]:
    """Return the times of rows in microseconds."""
    return rows["time"].cast(pa.int64()).to_numpy()


def find_changes(values: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Whether each value is the first or differs from the one before."""
    return np.append(True, values[1:] != values[:-1])[: len(values)]
