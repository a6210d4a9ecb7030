"""Rows of the prediction log on the local disk, in sorted runs of each release."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from skyclass.maintenance.sorting import merge_runs, read_run, write_run

RUN_ROWS = 100_000
"""Rows that are in memory until they are sorted and written."""

TIME = "time"


class Group(NamedTuple):
    """A release and its mode."""

    mode: str
    model_version: str


class Spool:
    """Collects rows in any order, and returns those of each release in the order of time.

    Attributes:
        rows: Number of rows that were added.
    """

    def __init__(self, folder: Path) -> None:
        """Create an empty spool.

        Args:
            folder: An empty folder for its files.
        """
        self._folder = folder
        self.rows = 0
        self._tables: list[pa.Table] = []
        self._waiting = 0
        self._files = 0
        self._runs: dict[Group, list[Path]] = {}

    def add(self, rows: pa.Table) -> None:
        """Add rows, none of them without time, mode or release."""
        self._tables.append(rows)
        self.rows += rows.num_rows
        self._waiting += rows.num_rows
        if self._waiting >= RUN_ROWS:
            self._write_runs()

    def list_groups(self) -> list[Group]:
        """Return the releases that have rows."""
        self._write_runs()
        return sorted(self._runs)

    def read_sorted(
        self, group: Group, earlier: Iterable[Iterator[pa.RecordBatch]]
    ) -> Iterator[pa.Table]:
        """Yield the rows of a release in order, together with sorted rows from elsewhere."""
        self._write_runs()
        return merge_runs([*earlier, *map(read_run, self._runs[group])], TIME)

    def _write_runs(self) -> None:
        if not self._waiting:
            return
        rows = pa.concat_tables(self._tables)
        self._tables, self._waiting = [], 0
        for values in rows.group_by(list(Group._fields)).aggregate([]).to_pylist():
            group = Group(**values)
            paths = self._runs.setdefault(group, [])
            self._files += 1
            path = self._folder / f"{self._files}.arrow"
            is_of_group = [pc.field(name) == value for name, value in values.items()]
            write_run(rows.filter(is_of_group[0] & is_of_group[1]), TIME, path)
            paths.append(path)
