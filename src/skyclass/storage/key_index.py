"""Tells which rows are certainly new to a table, without a join."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

MAX_KEYS = 40_000_000
"""So many keys are remembered at most, 8 bytes each: memory does not follow the table's size."""

Hashes = npt.NDArray[np.uint64]


class KeyIndex:
    """Hashes of the keys in those files of a table that were looked into.

    Equal hashes of different keys are harmless: such a row is taken for known, and merged.
    """

    def __init__(self, key: tuple[str, ...]) -> None:
        """Know nothing yet.

        Args:
            key: The columns of the key.
        """
        self._key = list(key)
        self._files: set[str] = set()
        self._runs: list[Hashes] = []
        """Sorted, each longer than the next."""

    def are_new(self, rows: pa.Table, table: DeltaTable) -> bool:
        """Whether none of the rows' keys is in the table, as far as that is certain.

        Args:
            rows: Rows with keys.
            table: The table, at the version that is meant; only such of its files are read as may
                hold one of the keys and were not read before.
        """
        self._look_into(self._files_around(rows, table), table)
        if sum(map(len, self._runs)) > MAX_KEYS:
            return False
        wanted = self._hash(rows.select(self._key))
        wanted.sort()  # neighbours are looked up close to each other
        return not any(_meet(run, wanted) for run in self._runs)

    def add(self, rows: pa.Table, files: set[str]) -> None:
        """Know the keys of rows that have just been written, which need not be read again.

        Args:
            rows: The rows.
            files: The table's files that hold them, and no others.
        """
        if sum(map(len, self._runs)) <= MAX_KEYS:
            self._remember(self._hash(rows.select(self._key)))
            self._files |= files

    def _files_around(self, rows: pa.Table, table: DeltaTable) -> set[str]:
        """Files whose smallest and largest keys leave room for one of the rows'."""
        files = pa.table(table.get_add_actions(flatten=True))
        apart = pa.array(np.zeros(files.num_rows, dtype=bool))
        for name in self._key:
            if f"min.{name}" not in files.column_names:  # no file says so, or there is none
                continue
            bounds = pc.min_max(rows[name])
            above = pc.greater(files[f"min.{name}"], bounds["max"])
            below = pc.less(files[f"max.{name}"], bounds["min"])
            apart = pc.or_(apart, pc.fill_null(pc.or_(above, below), False))
        return set(files["path"].filter(pc.invert(apart)).to_pylist())

    def _look_into(self, files: set[str], table: DeltaTable) -> None:
        unknown = files - self._files
        if not unknown:
            return
        for fragment in table.to_pyarrow_dataset().get_fragments():
            if fragment.path in unknown and sum(map(len, self._runs)) <= MAX_KEYS:
                self._remember(self._hash(fragment.to_table(columns=self._key)))
                self._files.add(fragment.path)

    def _remember(self, hashes: Hashes) -> None:
        """Runs are joined as they come to the same length: each key is sorted a few times only."""
        hashes.sort()
        while self._runs and len(self._runs[-1]) <= len(hashes):
            hashes = np.concatenate([self._runs.pop(), hashes])
            hashes.sort()
        self._runs.append(hashes)

    def _hash(self, keys: pa.Table) -> Hashes:
        hashes = pd.util.hash_pandas_object(keys.to_pandas(), index=False)
        return np.asarray(hashes, dtype=np.uint64)


def _meet(run: Hashes, wanted: Hashes) -> bool:
    if not len(run):
        return False
    found = np.searchsorted(run, wanted).clip(max=len(run) - 1)
    return bool((run[found] == wanted).any())
