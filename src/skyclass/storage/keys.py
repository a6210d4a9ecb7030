"""Keys of a part: which of them are repeated, and which a table holds already."""

from collections.abc import Iterable, Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from pyarrow import fs

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

_FILTER_BITS = 24
"""Size of the filter of a part's hashes: 16 MB, of which a million keys take 6 %."""

_MULTIPLIER, _SHIFT = np.uint64(0xFF51AFD7ED558CCD), np.uint64(32)  # as in MurmurHash3


class PartKeys:
    """Hashes of the keys of a part, and of those that were found in a table.

    Two keys with the same hash are harmless: their rows are treated as known, and are merged by a
    join that compares the keys.

    Args:
        rows: The rows of the part.
        key: Key columns; they hold integers.
        partition_column: Partition column; the rows of a key are always in one partition.

    Attributes:
        are_known: Mask of the rows whose key was found by `find_known`.
    """

    def __init__(self, rows: pa.Table, key: Sequence[str], partition_column: str) -> None:
        self._key = list(key)
        self._partition = f"partition.{partition_column}"
        self._partition_values = rows[partition_column].unique()
        self._bounds = {name: pc.min_max(rows[name]) for name in key}
        self._hashes = _hash(rows.select(self._key))
        self._sorted = np.sort(self._hashes)
        self._read_files: set[str] = set()
        self.are_known: Mask = np.zeros(len(self._hashes), dtype=bool)

    def find_repeated(self) -> Mask:
        """Return a mask of the rows whose key occurs more than once in the part."""
        repeated = self._sorted[1:][self._sorted[1:] == self._sorted[:-1]]
        return np.isin(self._hashes, repeated)

    def find_known(self, table: DeltaTable, filesystem: fs.FileSystem) -> None:
        """Find the keys that a table holds.

        Files that an earlier call has read are not read again. Of the others, only key columns are
        read, of the files and row groups whose statistics allow a key of the part.

        Args:
            table: The table at the version to compare with.
            filesystem: A file system whose root is the folder of the table.
        """
        files = self._find_candidates(table) - self._read_files
        if files:
            found = self._find_common(_read_columns(sorted(files), filesystem, self._bounds))
            self.are_known |= np.isin(self._hashes, found)
            self._read_files |= files

    def _find_candidates(self, table: DeltaTable) -> set[str]:
        """Return the files whose statistics allow a key of the part."""
        files = pa.table(table.get_add_actions(flatten=True))
        is_candidate = pc.is_in(files[self._partition], self._partition_values)
        for name, bounds in self._bounds.items():
            if f"min.{name}" in files.column_names:  # else there are no statistics, or no files
                above = pc.greater(files[f"min.{name}"], bounds["max"])
                below = pc.less(files[f"max.{name}"], bounds["min"])
                is_disjoint = pc.fill_null(pc.or_(above, below), False)
                is_candidate = pc.and_not(is_candidate, is_disjoint)
        return set(files["path"].filter(is_candidate).to_pylist())

    def _find_common(self, batches: Iterable[pa.RecordBatch]) -> Hashes:
        """Return the hashes of keys in batches that are hashes of the part, too."""
        shift = np.uint64(64 - _FILTER_BITS)
        is_possible = np.zeros(1 << _FILTER_BITS, dtype=bool)  # a look-up that fits into caches
        is_possible[self._sorted >> shift] = True
        found = []
        for batch in batches:
            hashes = _hash(pa.table(batch))
            hashes = hashes[is_possible[hashes >> shift]]
            places = np.searchsorted(self._sorted, hashes).clip(max=len(self._sorted) - 1)
            found.append(hashes[self._sorted[places] == hashes])
        return np.concatenate(found) if found else np.empty(0, np.uint64)


def _read_columns(
    files: list[str], filesystem: fs.FileSystem, bounds: dict[str, pa.StructScalar]
) -> Iterable[pa.RecordBatch]:
    """Read the columns with bounds, of rows inside the bounds."""
    schema = pa.schema([(name, each["min"].type) for name, each in bounds.items()])
    is_inside = reduce(
        lambda left, right: left & right,
        [
            (ds.field(name) >= each["min"]) & (ds.field(name) <= each["max"])
            for name, each in bounds.items()
        ],
    )
    dataset = ds.dataset(files, schema, format="parquet", filesystem=filesystem)
    return dataset.to_batches(columns=list(bounds), filter=is_inside, fragment_readahead=1)


def _hash(keys: pa.Table) -> Hashes:
    hashes = np.zeros(keys.num_rows, np.uint64)
    for column in keys.columns:
        hashes ^= column.to_numpy().astype(np.uint64)
        hashes *= _MULTIPLIER  # modulo 2^64
        hashes ^= hashes >> _SHIFT
        hashes *= _MULTIPLIER
    return hashes
