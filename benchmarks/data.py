"""Ingest beside pandas, which converts the same CSV file to Parquet: `python -m benchmarks.data`.

pandas does not validate, deduplicate or commit. Both are measured alternately, each in its own
process; the ratio is the median of the turns.
"""

import argparse
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from benchmarks.figures import Figure, print_figure
from benchmarks.measurement import Cost, make_empty_bucket, measure, run_s3_server, simulate
from skyclass.ingest.job import ingest
from skyclass.settings import Settings
from skyclass.sources import FileSource
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.observations import ObservationsTable

TARGETS = {100_000: 0.3, 1_000_000: 0.7, 5_000_000: 0.8}
"""Least ratio of the speeds by the number of rows."""
MAX_MEGABYTES = 1_000

TOPIC = "Ingest"
PEER = "pandas, CSV to Parquet"


def measure_figures(sizes: Sequence[int] = tuple(TARGETS), turns: int = 3) -> Iterator[Figure]:
    """Measure speed, processor time and peak memory at each number of rows."""
    with run_s3_server() as (settings, folder):
        for rows in sizes:
            path = folder / f"{rows}.csv"
            simulate(rows, path)
            pairs: list[tuple[Cost, Cost]] = []
            for turn in range(turns):
                fresh = make_empty_bucket(settings, f"b{rows}-{turn}")
                pairs.append(
                    (measure(convert_with_pandas, path), measure(run_ingest, path, fresh, rows))
                )
            path.unlink()
            yield from _summarise(rows, pairs)


def convert_with_pandas(path: Path) -> None:
    """Read the CSV file with pandas and write Parquet."""
    pd.read_csv(path).to_parquet(path.with_suffix(".parquet"))


def run_ingest(path: Path, settings: Settings, rows: int) -> None:
    """Ingest the file into an empty table on S3."""
    source = FileSource(path, str(path))
    done = ingest(source, ObservationsTable(settings), ObjectStore(settings))
    assert done.inserted == rows, done  # noqa: S101


def _summarise(rows: int, pairs: Sequence[tuple[Cost, Cost]]) -> Iterator[Figure]:
    ingests = [cost for _, cost in pairs]
    seconds = statistics.median(cost.seconds for cost in ingests)
    ratio = statistics.median(plain.seconds / own.seconds for plain, own in pairs)
    yield Figure(TOPIC, f"{rows:,} rows", rows / seconds, "rows/s", PEER, ratio, TARGETS.get(rows))
    cpu = statistics.median(cost.cpu for cost in ingests)
    ratio = statistics.median(plain.cpu / own.cpu for plain, own in pairs)
    yield Figure(TOPIC, f"{rows:,} rows, processor time", cpu, "s of CPU", PEER, ratio)
    peak = max(cost.megabytes for cost in ingests)
    yield Figure(TOPIC, f"{rows:,} rows, peak memory", peak, "MB", target=MAX_MEGABYTES)


def main() -> None:
    """Print each figure when it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=tuple(TARGETS))
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    for figure in measure_figures(given.rows, given.repeat):
        print_figure(figure)


if __name__ == "__main__":
    main()
