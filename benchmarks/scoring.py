"""Batch scoring beside `model.predict_proba` in one process: `python -m benchmarks.scoring`.

Prints rows a second, processor time for a million rows, and peak memory, measured in turn: scikit-
learn on rows that are in memory already, then the whole way from Parquet to the predictions table,
in one shard and in two at once.
"""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import pyarrow.dataset as ds

from benchmarks.data import say
from benchmarks.models import publish_model
from benchmarks.workshop import Cost, empty_bucket, measure, simulate, workshop
from skyclass.registry.releases import JOBLIB_MODEL, Release
from skyclass.scoring.inputs import open_input
from skyclass.scoring.score import Shard, score
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode, make_features

SIZES = (100_000, 1_000_000, 10_000_000)
MODE = Mode.SPECTROSCOPIC
_PLAIN_ROWS = 1_000_000


def plain(path: Path, model: Path) -> None:
    """What a notebook does: everything in memory, then one call."""
    table = ds.dataset(path).head(_PLAIN_ROWS, columns=list(INPUTS[MODE]))
    joblib.load(model).predict_proba(make_features(table.to_pandas(), MODE))


def ours(path: Path, settings: Settings, release: Release, shard: str) -> None:
    """Streamed from Parquet into the table, in transactions."""
    score(settings, open_input(settings, str(path)), release, Shard.parse(shard))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--candidate", default="hist_gradient_boosting")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    say("rows", "way", "rows/s", "CPU s per 10^6", "peak MB")
    with workshop() as (settings, folder):
        store = ObjectStore(settings)
        release, _ = publish_model(store, MODE, given.candidate, folder / "model")
        for rows in given.rows:
            path = folder / f"{rows}.parquet"
            simulate(rows, path)
            model = folder / "model" / JOBLIB_MODEL
            tell(min(rows, _PLAIN_ROWS), "scikit-learn", [measure(plain, path, model)])
            for shards in (1, 2):
                fresh = empty_bucket(settings, f"s{rows}-{shards}")
                parts = [f"{number}/{shards}" for number in range(shards)]
                with ThreadPoolExecutor(shards) as pool:
                    costs = list(
                        pool.map(lambda part: measure(ours, path, fresh, release, part), parts)  # noqa: B023
                    )
                tell(rows, f"{shards} shard{'s' * (shards > 1)}", costs)
            path.unlink()


def tell(rows: int, way: str, costs: list[Cost]) -> None:
    """Print what was measured in one or several processes at once."""
    say(
        f"{rows:,}",
        way,
        f"{rows / max(cost.seconds for cost in costs):,.0f}",
        f"{sum(cost.cpu for cost in costs) / rows * 1e6:.2f}",
        f"{max(cost.megabytes for cost in costs):,.0f}",
    )


if __name__ == "__main__":
    main()
