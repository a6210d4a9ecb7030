"""Batch scoring beside `predict_proba` of scikit-learn: `python -m benchmarks.scoring`.

scikit-learn predicts rows in memory on one thread, at most a million of them in one call. Scoring
reads them from Parquet and commits its predictions to the table. Both are measured alternately,
each in its own process; the ratio is the median of the turns.
"""

import argparse
import os
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import joblib
import pyarrow.dataset as ds

from benchmarks.figures import Figure, print_figure
from benchmarks.measurement import Cost, make_empty_bucket, measure, run_s3_server, simulate
from benchmarks.models import publish_model
from skyclass.registry.releases import JOBLIB_MODEL, Release
from skyclass.scoring.inputs import open_input
from skyclass.scoring.score import score
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode, make_features

TARGETS = {100_000: 1.0, 1_000_000: 2.0, 10_000_000: 2.0}
"""Least ratio of the speeds by the number of rows."""
MAX_COST_RATIO = 1.15
"""Largest ratio between the processor times of a row at different numbers of rows."""

TOPIC = "Batch scoring"
PEER = "scikit-learn predict_proba in memory"
MODE = Mode.SPECTROSCOPIC
CANDIDATE = "hist_gradient_boosting"
_PEER_ROWS = 1_000_000


def measure_figures(
    sizes: Sequence[int] = tuple(TARGETS), turns: int = 3, candidate: str = CANDIDATE
) -> Iterator[Figure]:
    """Measure speed, processor time and peak memory at each number of rows."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cpu_of_a_million = []
    with run_s3_server() as (settings, folder):
        release, _ = publish_model(ObjectStore(settings), MODE, candidate, folder / "model")
        for rows in sizes:
            path = folder / f"{rows}.parquet"
            simulate(rows, path)
            pairs = []
            for turn in range(turns):
                fresh = make_empty_bucket(settings, f"s{rows}-{turn}")
                model = folder / "model" / JOBLIB_MODEL
                peer = measure(predict_in_memory, path, model)
                pairs.append((peer, measure(score_file, path, fresh, release)))
            path.unlink()
            yield from _summarise(rows, pairs)
            cpu = statistics.median(own.cpu for _, own in pairs)
            cpu_of_a_million.append(cpu / rows * 1e6)
    if len(sizes) > 1:
        spread = max(cpu_of_a_million) / min(cpu_of_a_million)
        name = "processor time of a row, the dearest size beside the cheapest"
        yield Figure(TOPIC, name, spread, "times", target=MAX_COST_RATIO)


def predict_in_memory(path: Path, model: Path) -> None:
    """Read the rows into memory and predict them in one call."""
    table = ds.dataset(path).head(_PEER_ROWS, columns=list(INPUTS[MODE]))
    joblib.load(model).predict_proba(make_features(table.to_pandas(), MODE))


def score_file(path: Path, settings: Settings, release: Release) -> None:
    """Score the file into an empty predictions table."""
    score(settings, open_input(settings, str(path)), release)


def _summarise(rows: int, pairs: Sequence[tuple[Cost, Cost]]) -> Iterator[Figure]:
    share = min(rows, _PEER_ROWS) / rows  # of the rows that scikit-learn predicts
    runs = [own for _, own in pairs]
    seconds = statistics.median(own.seconds for own in runs)
    ratio = statistics.median(peer.seconds / own.seconds / share for peer, own in pairs)
    yield Figure(TOPIC, f"{rows:,} rows", rows / seconds, "rows/s", PEER, ratio, TARGETS.get(rows))
    cpu = statistics.median(own.cpu for own in runs) / rows * 1e6
    ratio = statistics.median(peer.cpu / own.cpu / share for peer, own in pairs)
    name = f"{rows:,} rows, processor time"
    yield Figure(TOPIC, name, cpu, "s of CPU a million rows", PEER, ratio)
    peak = max(own.megabytes for own in runs)
    yield Figure(TOPIC, f"{rows:,} rows, peak memory", peak, "MB")


def main() -> None:
    """Print each figure when it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=tuple(TARGETS))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--candidate", default=CANDIDATE)
    given = parser.parse_args()
    for figure in measure_figures(given.rows, given.repeat, given.candidate):
        print_figure(figure)


if __name__ == "__main__":
    main()
