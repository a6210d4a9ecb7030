"""Ingest beside `pandas.read_csv` and Parquet of the same file: `python -m benchmarks.data`.

Prints rows a second, peak memory and the ratio of the two, measured in turn. Ratios of processor
time say the same on a machine that others use as well.
"""

import argparse
import statistics
import sys
from pathlib import Path

import pandas as pd

from benchmarks.workshop import Cost, empty_bucket, measure, simulate, workshop
from skyclass.ingest.job import ingest
from skyclass.settings import Settings
from skyclass.sources import FileSource
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.observations import ObservationsTable

SIZES = (100_000, 1_000_000, 5_000_000)


def plain(path: Path) -> None:
    """What a notebook does."""
    pd.read_csv(path).to_parquet(path.with_suffix(".parquet"))


def ours(path: Path, settings: Settings, rows: int) -> None:
    """Validated, keyed, in transactions, into S3."""
    source = FileSource(path, str(path))
    done = ingest(source, ObservationsTable(settings), ObjectStore(settings))
    assert done.inserted == rows, done  # noqa: S101


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    say("rows", "plain rows/s", "ingest rows/s", "ratio", "ratio of CPU", "plain MB", "ingest MB")
    with workshop() as (settings, folder):
        for rows in given.rows:
            path = folder / f"{rows}.csv"
            simulate(rows, path)
            pairs: list[tuple[Cost, Cost]] = []
            for turn in range(given.repeat):
                fresh = empty_bucket(settings, f"b{rows}-{turn}")
                pairs.append((measure(plain, path), measure(ours, path, fresh, rows)))
            before, after = (
                min(each, key=lambda cost: cost.seconds) for each in zip(*pairs, strict=True)
            )
            say(
                f"{rows:,}",
                f"{rows / before.seconds:,.0f}",
                f"{rows / after.seconds:,.0f}",
                f"{statistics.median(a.seconds / b.seconds for a, b in pairs):.2f}",
                f"{statistics.median(a.cpu / b.cpu for a, b in pairs):.2f}",
                f"{before.megabytes:,.0f}",
                f"{after.megabytes:,.0f}",
            )
            path.unlink()


def say(*cells: str) -> None:
    """Print a line of the table."""
    sys.stdout.write("".join(f"{cell:>15}" for cell in cells) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
