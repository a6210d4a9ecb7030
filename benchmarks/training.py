"""The training pipeline on many rows: `python -m benchmarks.training`.

Runs the whole pipeline in KFP's local runner, from simulated rows to a release. The step `train`
searches, fits twice, calibrates and exports; it is compared with one plain fit of the selected
model on the same rows.
"""

import argparse
import os
import resource
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from joblib import parallel_config

from benchmarks.figures import Figure, print_figure
from benchmarks.measurement import measure, run_s3_server
from skyclass.orchestration.local_runner import run_training
from skyclass.registry.releases import Registry
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.training.candidates import ALL, CANDIDATES
from skyclass.training.dataset import Dataset

SIZES = (1_000_000,)
"""Ten million rows take another hour: `--rows 10000000`."""
MODE = Mode.SPECTROSCOPIC
MAX_MEGABYTES = 6 * 1024

TOPIC = "Training"


def measure_figures(sizes: Sequence[int] = SIZES, candidates: str = ALL) -> Iterator[Figure]:
    """Measure the time of each step and the peak memory of the largest, at each number of rows."""
    for rows in sizes:
        with run_s3_server() as (settings, folder):
            yield from _measure_run(rows, candidates, settings, folder)


def _measure_run(rows: int, candidates: str, settings: Settings, folder: Path) -> Iterator[Figure]:
    os.environ |= {
        "AWS_ENDPOINT_URL": settings.endpoint_url,
        "AWS_ACCESS_KEY_ID": settings.access_key_id,
        "AWS_SECRET_ACCESS_KEY": settings.secret_access_key.get_secret_value(),
        "SKYCLASS_HOME": str(folder),
    }
    parameters = {
        "source_uri": f"simulated:?rows={rows}",
        "newest_rows": str(rows),
        "candidates": candidates,
    }
    started: list[tuple[str, float]] = []
    run_training(
        parameters, folder / "runs", lambda step: started.append((step, time.perf_counter()))
    )
    started.append(("", time.perf_counter()))
    # The S3 server is a child, too, and smaller than any step on so many rows.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    seconds = {step: after - at for (step, at), (_, after) in pairwise(started)}
    manifest = Registry(ObjectStore(settings)).list_releases(MODE)[-1].manifest
    name = f"{rows:,} rows, {candidates if candidates != ALL else 'all candidates'}"
    if manifest.training_set.sampled_from:
        name += f", a sample of {manifest.training_set.rows:,}"
    (dataset,) = {file.parent for file in (folder / "runs").rglob("rows.parquet")}
    plain = measure(fit_plainly, dataset, manifest.candidate, manifest.settings)
    peer = f"one fit of {manifest.candidate}"
    yield Figure(
        TOPIC, f"{name}: train", seconds["train"], "s", peer, plain.seconds / seconds["train"]
    )
    for step in ("ingest", "validate", "evaluate"):
        yield Figure(TOPIC, f"{name}: {step}", seconds[step], "s")
    yield Figure(
        TOPIC, f"{name}: peak memory of the largest step", peak, "MB", target=MAX_MEGABYTES
    )


def fit_plainly(dataset: Path, candidate: str, settings: dict[str, int | float]) -> None:
    """Fit a model with scikit-learn on the rows that a release is fitted on."""
    rows = Dataset.load(dataset, MODE)
    train = ~rows.random_holdout
    with parallel_config("threading", n_jobs=-1):
        CANDIDATES[candidate].make(0, settings).fit(rows.features[train], rows.labels[train])


def main() -> None:
    """Print each figure when it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--candidates", default=ALL)
    given = parser.parse_args()
    for figure in measure_figures(given.rows, given.candidates):
        print_figure(figure)


if __name__ == "__main__":
    main()
