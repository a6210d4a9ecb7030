"""An index of the keys in a table, to append new rows without a join."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

MAX_KEYS = 40_000_000
"""Largest number of keys in the index, at 8 bytes each; it bounds memory for any table size."""

Hashes = npt.NDArray[np.uint64]


class KeyIndex:
    """Hashes of the keys in those files of a table that were read.

    A hash collision is harmless: the row is treated as known, and merged with a join.

    Args:
        key: Columns of the key.
    """

    def __init__(self, key: tuple[str, ...]) -> None:
        self._key = list(key)
        self._files: set[str] = set()
        self._runs: list[Hashes] = []
        """Sorted hashes, in runs of decreasing length."""

    def are_new(self, rows: pa.Table, table: DeltaTable) -> bool:
        """Return whether no row's key is in the table; False if the index cannot tell.

        Only files that may hold one of the keys, by their statistics, and that were not read
        before are read.

        Args:
            rows: Rows with the columns of the key.
            table: The table at the version to compare with.
        """
        self._read_files(self._find_candidate_files(rows, table), table)
        if self._is_full():
            return False
        hashes = self._hash(rows.select(self._key))
        hashes.sort()  # sorted look-ups are local in memory
        return not any(_have_common_hash(run, hashes) for run in self._runs)

    def add(self, rows: pa.Table, files: set[str]) -> None:
        """Add the keys of rows that have been written, so that their files need not be read.

        Args:
            rows: The rows.
            files: Paths of the files that hold exactly these rows.
        """
        if not self._is_full():
            self._add_hashes(self._hash(rows.select(self._key)))
            self._files |= files

    def _is_full(self) -> bool:
        return sum(map(len, self._runs)) > MAX_KEYS

    def _find_candidate_files(self, rows: pa.Table, table: DeltaTable) -> set[str]:
        """Return the files whose key ranges overlap those of the rows."""
        files = pa.table(table.get_add_actions(flatten=True))
        is_disjoint = pa.array(np.zeros(files.num_rows, dtype=bool))
        for name in self._key:
            if f"min.{name}" not in files.column_names:  # no statistics, or no files
                continue
            bounds = pc.min_max(rows[name])
            above = pc.greater(files[f"min.{name}"], bounds["max"])
            below = pc.less(files[f"max.{name}"], bounds["min"])
            is_disjoint = pc.or_(is_disjoint, pc.fill_null(pc.or_(above, below), False))
        return set(files["path"].filter(pc.invert(is_disjoint)).to_pylist())

    def _read_files(self, files: set[str], table: DeltaTable) -> None:
        unread = files - self._files
        if not unread:
            return
        for fragment in table.to_pyarrow_dataset().get_fragments():
            if fragment.path in unread and not self._is_full():
                self._add_hashes(self._hash(fragment.to_table(columns=self._key)))
                self._files.add(fragment.path)

    def _add_hashes(self, hashes: Hashes) -> None:
        """Merge runs of equal length, so that each hash is sorted a logarithmic number of times."""
        hashes.sort()
        while self._runs and len(self._runs[-1]) <= len(hashes):
            hashes = np.concatenate([self._runs.pop(), hashes])
            hashes.sort()
        self._runs.append(hashes)

    def _hash(self, keys: pa.Table) -> Hashes:
        hashes = pd.util.hash_pandas_object(keys.to_pandas(), index=False)
        return np.asarray(hashes, dtype=np.uint64)


def _have_common_hash(run: Hashes, hashes: Hashes) -> bool:
    if not len(run):
        return False
    found = np.searchsorted(run, hashes).clip(max=len(run) - 1)
    return bool((run[found] == hashes).any())
