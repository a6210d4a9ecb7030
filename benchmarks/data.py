"""Ingest beside `pandas.read_csv` and Parquet of the same file: `python -m benchmarks.data`.

Prints rows per second, peak memory and the ratios, measured alternately. The ratio of CPU time is
also valid on a machine with other load.
"""

import argparse
import statistics
import sys
from pathlib import Path

import pandas as pd

from benchmarks.measurement import Cost, make_empty_bucket, measure, run_s3_server, simulate
from skyclass.ingest.job import ingest
from skyclass.settings import Settings
from skyclass.sources import FileSource
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.observations import ObservationsTable

SIZES = (100_000, 1_000_000, 5_000_000)


def convert_with_pandas(path: Path) -> None:
    """Read the CSV file with pandas and write Parquet."""
    pd.read_csv(path).to_parquet(path.with_suffix(".parquet"))


def run_ingest(path: Path, settings: Settings, rows: int) -> None:
    """Ingest the file into an empty table on S3."""
    source = FileSource(path, str(path))
    done = ingest(source, ObservationsTable(settings), ObjectStore(settings))
    assert done.inserted == rows, done  # noqa: S101


def main() -> None:
    """Measure both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    print_row(
        "rows", "plain rows/s", "ingest rows/s", "ratio", "ratio of CPU", "plain MB", "ingest MB"
    )
    with run_s3_server() as (settings, folder):
        for rows in given.rows:
            path = folder / f"{rows}.csv"
            simulate(rows, path)
            pairs: list[tuple[Cost, Cost]] = []
            for turn in range(given.repeat):
                fresh = make_empty_bucket(settings, f"b{rows}-{turn}")
                pairs.append(
                    (measure(convert_with_pandas, path), measure(run_ingest, path, fresh, rows))
                )
            before, after = (
                min(each, key=lambda cost: cost.seconds) for each in zip(*pairs, strict=True)
            )
            print_row(
                f"{rows:,}",
                f"{rows / before.seconds:,.0f}",
                f"{rows / after.seconds:,.0f}",
                f"{statistics.median(a.seconds / b.seconds for a, b in pairs):.2f}",
                f"{statistics.median(a.cpu / b.cpu for a, b in pairs):.2f}",
                f"{before.megabytes:,.0f}",
                f"{after.megabytes:,.0f}",
            )
            path.unlink()


def print_row(*cells: str) -> None:
    """Print a line of the table."""
    sys.stdout.write("".join(f"{cell:>15}" for cell in cells) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
