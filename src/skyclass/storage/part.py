"""A part: rows that are committed to a table together."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import uuid4

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction
from pyarrow import fs

from skyclass.storage.data_files import write_data_files
from skyclass.storage.keys import Mask, PartKeys
from skyclass.storage.table_spec import TableSpec, Watermark

PART_ID = "skyclass.part"
"""Metadata of a commit that completes a part."""


@dataclass(frozen=True)
class MergeResult:
    """The outcome of a merge.

    Attributes:
        inserted: Rows with a new key.
        updated: Rows with a known key and other values; 0 if the response to the commit was lost.
        version: Version of the table after the merge.
    """

    inserted: int
    updated: int
    version: int


class Part:
    """Rows with unique keys, and how far they have got into a table.

    Known rows have a key that the table holds. They are merged; the other rows are appended.

    Args:
        rows: Columns of the schema. Of a key that is repeated, the last value of each column that
            is not null counts.
        spec: The table.

    Attributes:
        rows: The rows, with unique keys.
        inserted: Rows that were inserted by merges: their keys have the hash of another.
        updated: Rows that merges changed.
        files: The actions that add the data files of the new rows.
        id: Identifies the part in the metadata of the commit that completes it.
        attempted_version: Version after which the last attempt to commit was made, if any.
    """

    def __init__(self, rows: pa.Table, spec: TableSpec) -> None:
        self._spec = spec
        self._keys = PartKeys(rows, spec.key, spec.partition_column)
        are_repeated = self._keys.find_repeated()
        if are_repeated.any():
            merged = _merge_repeated(rows.filter(pa.array(are_repeated)), spec.key)
            rows = pa.concat_tables([rows.filter(pa.array(~are_repeated)), merged])
            self._keys = PartKeys(rows, spec.key, spec.partition_column)
        self.rows = rows
        self.inserted = self.updated = 0
        self._are_merged = np.zeros(rows.num_rows, dtype=bool)
        self.files: list[AddAction] = []
        self.id = str(uuid4())
        self.attempted_version: int | None = None
        self._rows_in_files = 0

    @property
    def new_rows(self) -> int:
        """Number of rows whose key was not found."""
        return self.rows.num_rows - int(self._keys.are_known.sum())

    @property
    def changed(self) -> int:
        """Number of rows that merges have inserted or updated."""
        return self.inserted + self.updated

    def find_known(self, table: DeltaTable, filesystem: fs.FileSystem) -> pa.Table:
        """Return the rows that the table holds and that were not merged yet."""
        self._keys.find_known(table, filesystem)
        return self._select(self._keys.are_known & ~self._are_merged, table)

    def add_merged(self, inserted: int, updated: int) -> None:
        """Count the known rows as merged."""
        self._are_merged = self._keys.are_known.copy()
        self.inserted += inserted
        self.updated += updated

    def write_new(self, table: DeltaTable, filesystem: fs.FileSystem) -> None:
        """Write the new rows to data files, unless an earlier call has written the same."""
        if self._rows_in_files != self.new_rows:
            new = self._select(~self._keys.are_known, table)
            self.files = write_data_files(new, self._spec.partition_column, filesystem)
            self._rows_in_files = new.num_rows

    def is_committed(self, table: DeltaTable, watermarks: Iterable[Watermark]) -> bool:
        """Return whether an attempt succeeded whose response was lost.

        The commit is found by its metadata, because its files may have been compacted since.
        """
        if self.attempted_version is None or any(
            table.transaction_version(each.id) != each.after for each in watermarks
        ):
            return False
        commits = table.history(table.version() - self.attempted_version)
        return any(commit.get(PART_ID) == self.id for commit in commits)

    def summarise(self, version: int) -> MergeResult:
        """Return the outcome, after the commit."""
        return MergeResult(self.inserted + self.new_rows, self.updated, version)

    def _select(self, mask: Mask, table: DeltaTable) -> pa.Table:
        """Return some of the rows, with the columns that the table has."""
        stored = {field.name for field in table.schema().fields}
        rows = self.rows.select([name for name in self.rows.column_names if name in stored])
        return rows if mask.all() else rows.filter(pa.array(mask))


def _merge_repeated(rows: pa.Table, key: tuple[str, ...]) -> pa.Table:
    """Merge rows of the same key: the last value that is not null wins, as between parts."""
    grouped = rows.group_by(list(key), use_threads=False)  # "last" needs the order of the rows
    others = [name for name in rows.column_names if name not in key]
    merged = grouped.aggregate([(name, "last") for name in others])
    return merged.rename_columns(
        [name.removesuffix("_last") for name in merged.column_names]
    ).select(rows.column_names)
