"""Batch scoring beside `model.predict_proba` in one process: `python -m benchmarks.scoring`.

Prints rows per second, CPU time per million rows, and peak memory of scikit-learn on rows in
memory, and of the job from Parquet to the predictions table, in one and two shards.
"""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import pyarrow.dataset as ds

from benchmarks.data import print_row
from benchmarks.measurement import Cost, make_empty_bucket, measure, run_s3_server, simulate
from benchmarks.models import publish_model
from skyclass.registry.releases import JOBLIB_MODEL, Release
from skyclass.scoring.inputs import open_input
from skyclass.scoring.score import score
from skyclass.scoring.shards import Shard
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode, make_features

SIZES = (100_000, 1_000_000, 10_000_000)
MODE = Mode.SPECTROSCOPIC
_PLAIN_ROWS = 1_000_000


def predict_in_memory(path: Path, model: Path) -> None:
    """Read the rows into memory and predict them in one call."""
    table = ds.dataset(path).head(_PLAIN_ROWS, columns=list(INPUTS[MODE]))
    joblib.load(model).predict_proba(make_features(table.to_pandas(), MODE))


def score_shard(path: Path, settings: Settings, release: Release, shard: str) -> None:
    """Score one shard of the file into the predictions table."""
    score(settings, open_input(settings, str(path)), release, Shard.parse(shard))


def main() -> None:
    """Measure each method and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--candidate", default="hist_gradient_boosting")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print_row("rows", "way", "rows/s", "CPU s per 10^6", "peak MB")
    with run_s3_server() as (settings, folder):
        store = ObjectStore(settings)
        release, _ = publish_model(store, MODE, given.candidate, folder / "model")
        for rows in given.rows:
            path = folder / f"{rows}.parquet"
            simulate(rows, path)
            model = folder / "model" / JOBLIB_MODEL
            print_costs(
                min(rows, _PLAIN_ROWS), "scikit-learn", [measure(predict_in_memory, path, model)]
            )
            for shards in (1, 2):
                fresh = make_empty_bucket(settings, f"s{rows}-{shards}")
                parts = [f"{number}/{shards}" for number in range(shards)]
                with ThreadPoolExecutor(shards) as pool:
                    costs = list(
                        pool.map(
                            lambda part: measure(score_shard, path, fresh, release, part),  # noqa: B023
                            parts,
                        )
                    )
                print_costs(rows, f"{shards} shard{'s' * (shards > 1)}", costs)
            path.unlink()


def print_costs(rows: int, way: str, costs: list[Cost]) -> None:
    """Print the total cost of concurrent processes."""
    print_row(
        f"{rows:,}",
        way,
        f"{rows / max(cost.seconds for cost in costs):,.0f}",
        f"{sum(cost.cpu for cost in costs) / rows * 1e6:.2f}",
        f"{max(cost.megabytes for cost in costs):,.0f}",
    )


if __name__ == "__main__":
    main()
