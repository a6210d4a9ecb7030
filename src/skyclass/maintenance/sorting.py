"""External merge sort: rows are sorted by a column of time, however many there are."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BATCH_ROWS = 4_096
"""Rows of each run in memory while runs are merged."""


def write_run(rows: pa.Table, column: str, path: Path) -> None:
    """Sort rows and write them to a file, for `read_run`."""
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_file(str(path), rows.schema, options=options) as writer:
        writer.write_table(rows.sort_by(column).combine_chunks(), max_chunksize=BATCH_ROWS)


def read_run(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a sorted file in batches."""
    with pa.ipc.open_file(str(path)) as reader:
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def merge_runs(runs: Sequence[Iterator[pa.RecordBatch]], column: str) -> Iterator[pa.Table]:
    """Merge sorted runs; rows with the same time keep the order of the runs.

    Args:
        runs: Batches of each run, sorted by the column.
        column: A column of times without nulls.

    Yields:
        The rows of all runs in order, at most one batch of each run at a time.
    """
    heads = [head for head in (_Head(run, column) for run in runs) if head.advance()]
    while heads:
        bound = min(int(head.times[-1]) for head in heads)
        yield pa.concat_tables([head.take_until(bound) for head in heads]).sort_by(column)
        heads = [head for head in heads if len(head.times) or head.advance()]


class _Head:
    """The rows of a run that are in memory.

    Attributes:
        times: Their times in microseconds.
    """

    def __init__(self, run: Iterator[pa.RecordBatch], column: str) -> None:
        self._run = run
        self._column = column
        self.times = np.empty(0, dtype=np.int64)

    def advance(self) -> bool:
        """Load the next batch; return whether there is one."""
        for batch in self._run:
            if batch.num_rows:
                self._rows = pa.table(batch)
                self.times = pc.cast(batch[self._column], pa.int64()).to_numpy()
                return True
        return False

    def take_until(self, bound: int) -> pa.Table:
        """Remove and return the rows that are not later than a time."""
        count = int(np.searchsorted(self.times, bound, side="right"))
        taken, self._rows = self._rows.slice(0, count), self._rows.slice(count)
        self.times = self.times[count:]
        return taken
