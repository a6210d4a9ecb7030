"""Many parts of one table: concurrent commits and its growth, `python -m benchmarks.parts`.

Scores objects with synthetic ids by a small model, so that the table and not the model counts.

- 64 parts by 16 processes at the same time: attempts for each commit, and failed parts.
- A table that grows by a million objects a run: CPU time of a row beside that of the first run,
  with ids in the order of the files, and in random order, where statistics exclude no file.

Each input of a growing table is deleted when it has been scored. The 16 processes take 6 GB of
memory; parts of a million rows (`--part-rows`), as scoring makes them, take 14 GB. With
`--rows 100000000`, it takes an hour.
"""

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from benchmarks.figures import Figure, print_figure
from benchmarks.measurement import make_empty_bucket, run_s3_server
from benchmarks.models import publish_model
from skyclass.errors import SkyclassError
from skyclass.registry.releases import Release
from skyclass.scoring.inputs import open_input
from skyclass.scoring.score import score
from skyclass.scoring.shards import Shard
from skyclass.settings import Settings
from skyclass.storage.delta_options import make_storage_options
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.tables.predictions import SPEC

TOPIC = "Many parts"
PARTS, PROCESSES, PART_ROWS = 64, 16, 250_000
RUN_ROWS = 1_000_000
ROWS = 10_000_000
_FIRST_ID = 1_237_648_720_000_000_000
_ID_BITS = 40
_SCATTER = 0x9E3779B1  # odd, so that the products modulo 2^40 are a permutation


@dataclass(frozen=True)
class Race:
    """The outcome of parts that were scored at the same time.

    Attributes:
        commits: Parts that were committed.
        attempts: Attempts to commit them.
        failures: Errors of those that were not.
    """

    commits: int
    attempts: int
    failures: tuple[str, ...]


def write_objects(path: Path, first: int, rows: int, *, in_order: bool) -> None:
    """Write objects with five magnitudes; the ids of all numbers are different.

    Args:
        path: Parquet file to write.
        first: Number of the first object.
        rows: Number of objects.
        in_order: Whether the ids increase with the number, or are scattered over their range.
    """
    numbers = np.arange(first, first + rows, dtype=np.uint64)
    ids = numbers if in_order else numbers * np.uint64(_SCATTER) % np.uint64(1 << _ID_BITS)
    generator = np.random.default_rng(first)
    columns: dict[str, Any] = {"objID": pa.array((ids + np.uint64(_FIRST_ID)).astype(np.int64))}
    for band in INPUTS[Mode.PHOTOMETRIC]:
        columns[band] = generator.normal(20, 1.5, rows).round(5)
    pq.write_table(pa.table(columns), path, row_group_size=200_000)


def race(settings: Settings, release: Release, folder: Path, part_rows: int) -> Race:
    """Score 64 parts of a folder with 16 processes at the same time."""
    folder.mkdir()
    for number in range(PARTS):
        path = folder / f"{number:02}.parquet"
        write_objects(path, number * part_rows, part_rows, in_order=True)
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(PROCESSES)
    with ProcessPoolExecutor(PROCESSES, context, _start_together, (start,)) as pool:
        shards = [range(number, PARTS, PROCESSES) for number in range(PROCESSES)]
        races = list(
            pool.map(_score_shards, repeat(settings), repeat(release), repeat(folder), shards)
        )
    return Race(
        sum(each.commits for each in races),
        sum(each.attempts for each in races),
        tuple(failure for each in races for failure in each.failures),
    )


def grow(
    settings: Settings, release: Release, folder: Path, rows: int, *, in_order: bool
) -> Iterator[float]:
    """Yield the CPU seconds of each run that adds a million objects to the table."""
    folder.mkdir()
    for first in range(0, rows, RUN_ROWS):
        path = folder / f"{first}.parquet"
        write_objects(path, first, RUN_ROWS, in_order=in_order)
        source = open_input(settings, str(path))
        started = time.process_time()
        result = score(settings, source, release)
        yield time.process_time() - started
        if result.inserted != RUN_ROWS:
            raise AssertionError(f"{result.inserted} of {RUN_ROWS} objects were inserted")
        path.unlink()


def measure_figures(rows: int = ROWS, part_rows: int = PART_ROWS) -> Iterator[Figure]:
    """Measure concurrent parts, and tables that grow to a number of rows."""
    with run_s3_server() as (settings, folder):
        release, _ = publish_model(
            ObjectStore(settings), Mode.PHOTOMETRIC, "decision_tree", folder / "model"
        )
        raced = race(make_empty_bucket(settings, "race"), release, folder / "race", part_rows)
        for failure in raced.failures:
            sys.stderr.write(f"{failure}\n")
        name = f"{PARTS} parts of {part_rows:,} rows by {PROCESSES} processes"
        failed = len(raced.failures)
        yield Figure(TOPIC, f"{name}, failed", failed, "parts", target=0)
        attempts = raced.attempts / max(raced.commits, 1)
        yield Figure(TOPIC, f"{name}, attempts", attempts, "attempts a commit", target=1.1)
        warm_up = make_empty_bucket(settings, "warm-up")
        list(grow(warm_up, release, folder / "warm-up", RUN_ROWS, in_order=True))
        for order, target in (("in order", 1 / 1.15), ("in random order", None)):
            bucket = make_empty_bucket(settings, order.replace(" ", "-"))
            is_ordered = order == "in order"
            costs = []
            for cost in grow(bucket, release, folder / order, rows, in_order=is_ordered):
                costs.append(cost)
                sys.stderr.write(f"{len(costs) * RUN_ROWS:,} rows {order}: {cost:.2f} s of CPU\n")
            mean = float(np.mean(costs))
            yield Figure(
                TOPIC,
                f"{rows:,} rows with ids {order}",
                mean,
                "s of CPU a million rows",
                f"the first {RUN_ROWS:,} rows",
                costs[0] / mean,
                target,
            )
        yield from measure_size(bucket)


def measure_size(settings: Settings) -> Iterator[Figure]:
    """Measure the size of a predictions table and of its log."""
    table = DeltaTable(
        f"s3://{settings.data_bucket}/{SPEC.prefix}", storage_options=make_storage_options(settings)
    )
    files = pa.table(table.get_add_actions())
    rows, size = pc.sum(files["num_records"]).as_py(), pc.sum(files["size_bytes"]).as_py()
    yield Figure(TOPIC, "size of the table", size / rows, "bytes a row")
    store = ObjectStore(settings)
    names = list(store.list_keys(settings.data_bucket, f"{SPEC.prefix}/_delta_log/"))
    for suffix, unit in (
        (".json", "bytes a commit"),
        (".checkpoint.parquet", "bytes of a checkpoint"),
    ):
        sizes = [
            len(store.get(settings.data_bucket, name)) for name in names if name.endswith(suffix)
        ]
        if sizes:
            yield Figure(TOPIC, f"log of the table, {suffix}", statistics.median(sizes), unit)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="final rows of the growing tables")
    parser.add_argument("--part-rows", type=int, default=PART_ROWS, help="rows of each of 64 parts")
    given = parser.parse_args()
    for figure in measure_figures(given.rows, given.part_rows):
        print_figure(figure)


def _start_together(start: Any) -> None:
    start.wait()


def _score_shards(settings: Settings, release: Release, folder: Path, shards: range) -> Race:
    """Score shards in a process of its own, and count its commits of data files."""
    commit, attempts = DeltaTable.create_write_transaction, [0]

    def count(*arguments: Any, **named: Any) -> None:
        attempts[0] += 1
        commit(*arguments, **named)

    DeltaTable.create_write_transaction = count
    failures = []
    source = open_input(settings, str(folder))
    for number in shards:
        try:
            score(settings, source, release, Shard(number, PARTS))
        except SkyclassError as error:
            failures.append(f"part {number}: {error}")
    return Race(len(shards) - len(failures), attempts[0], tuple(failures))


if __name__ == "__main__":
    main()
