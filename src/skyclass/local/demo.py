"""The demo: train, serve, detect drift, retrain and hot-reload, on one machine.

Every part is the one used in production: an S3 server, KFP's local runner, a KServe predictor and
the drift job. No object is classified by a model that has trained on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from skyclass.client import Client
from skyclass.errors import ServingError
from skyclass.local.demo_data import load_demo_data
from skyclass.local.predictor import run_predictor
from skyclass.local.progress import ProgressReporter
from skyclass.monitoring.documents import REPORT as DRIFT_REPORT
from skyclass.monitoring.drift_job import run_drift
from skyclass.monitoring.verdict import Verdict
from skyclass.orchestration.local_runner import LocalRun, run_training
from skyclass.polling import poll
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import REPORT as TRAINING_REPORT
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.log.read import read_log

_LOG_TIMEOUT_SECONDS = 30
_RELOAD_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Phase:
    """Objects that the predictor classified, and the drift job's verdict on them.

    Attributes:
        name: `before`, `during` or `after` the change of the survey.
        objects: Number of objects.
        accuracy: Share of the objects that were classified correctly.
        release: ID of the release that classified them.
        verdict: Verdict of the drift job.
        report: HTML file of the drift report.
    """

    name: str
    objects: int
    accuracy: float
    release: str
    verdict: Verdict
    report: Path


@dataclass(frozen=True)
class DemoResult:
    """Result of a demo.

    Attributes:
        mode: Mode of the models.
        synthetic: Whether the objects are simulated.
        phases: Before, during and after the change of the survey.
        promoted: Whether the release of the second training became champion.
        verdict: Reason for the promotion, or against it.
        training_reports: HTML files of both trainings' reports.
    """

    mode: Mode
    synthetic: bool
    phases: tuple[Phase, ...]
    promoted: bool
    verdict: str
    training_reports: tuple[Path, ...]


def run_demo(
    settings: Settings,
    source_uri: str,
    mode: Mode,
    candidates: str,
    progress: ProgressReporter,
) -> DemoResult:
    """Run the demo.

    Args:
        settings: Settings with a running object store and an empty home folder.
        source_uri: URI of the observations.
        mode: Mode of the models.
        candidates: Candidates of both trainings, as in the pipeline's parameter.
        progress: Reports the tasks.

    Raises:
        SkyclassError: A task failed.
    """
    demo = _Demo(settings, mode, candidates, progress)
    demo.store.make_buckets()
    progress.start(f"Reading {source_uri}")
    data = load_demo_data(source_uri, mode, demo.store)
    early, late = settings.home / "early.csv", settings.home / "late.csv"
    data.early_labelled.to_csv(early, index=False)
    data.late_labelled.to_csv(late, index=False)
    progress.finish(f"{len(data.early_labelled):,} labelled objects of the first years")

    first = demo.train("First training", {"source_uri": str(early)})
    if not first.promoted:
        raise ServingError(
            f"the first release was not promoted ({first.verdict}): use more or other objects"
        )
    progress.start("Starting the KServe predictor")
    with run_predictor(settings, mode) as client:
        progress.finish(f"serving release {first.release_id[:12]}")
        before = demo.run_phase("before", data.before, client)
        during = demo.run_phase("during", data.during, client)
        newest = {"source_uri": str(late), "newest_rows": str(len(data.late_labelled))}
        second = demo.train("Second training, on the newest labels", newest)
        if second.promoted:
            demo.wait_for_reload(client, second.release_id)
        after = demo.run_phase("after", data.after, client)
    return DemoResult(
        mode=mode,
        synthetic=data.is_synthetic,
        phases=(before, during, after),
        promoted=second.promoted,
        verdict=second.verdict,
        training_reports=tuple(demo.save_training_report(run) for run in (first, second)),
    )


class _Demo:
    """What all tasks of a demo share."""

    def __init__(
        self, settings: Settings, mode: Mode, candidates: str, progress: ProgressReporter
    ) -> None:
        self.store = ObjectStore(settings)
        self._settings = settings
        self._champions = LocalChampionStore(self.store)
        self._mode = mode
        self._candidates = candidates
        self._progress = progress

    def train(self, task: str, parameters: Mapping[str, str]) -> LocalRun:
        self._progress.start(task)
        run = run_training(
            {
                "mode": str(self._mode),
                "candidates": self._candidates,
                "search_seconds": "0",
                "reason": task,
                **parameters,
            },
            self._settings.home / "runs",
            self._progress.update,
        )
        outcome = "promoted" if run.promoted else "not promoted"
        self._progress.finish(f"release {run.release_id[:12]} {outcome}: {run.verdict}")
        return run

    def run_phase(self, name: str, objects: pd.DataFrame, client: Client) -> Phase:
        """Classify objects, wait for the prediction log, and evaluate it for drift."""
        self._progress.start(f"Classifying {len(objects):,} new objects over HTTP ({name})")
        start = datetime.now(UTC)
        predictions = client.classify(objects)
        release = str(predictions["model_version"].iloc[0])
        accuracy = float((predictions["predicted"] == objects["class"]).mean())
        self._progress.finish(f"accuracy {accuracy:.1%} with release {release[:12]}")

        self._progress.start("Evaluating them for drift")

        def is_logged() -> bool:
            log = read_log(self.store, start, datetime.now(UTC), self._mode, release)
            return len(log.rows) >= len(objects)

        if not poll(is_logged, _LOG_TIMEOUT_SECONDS):
            raise ServingError(
                f"the prediction log is incomplete after {_LOG_TIMEOUT_SECONDS} s: "
                f"see {self._settings.home / 'predictor.log'}"
            )
        result = run_drift(self.store, self._champions, self._mode, start, datetime.now(UTC))
        verdict = result.verdict
        bucket = self._settings.reports_bucket
        report = self._download(bucket, result.prefix + DRIFT_REPORT, f"drift-{name}.html")
        self._progress.finish(f"{verdict.verdict}: {verdict.reason}")
        return Phase(name, len(objects), accuracy, release, verdict.verdict, report)

    def wait_for_reload(self, client: Client, release_id: str) -> None:
        self._progress.start("Waiting until the predictor has loaded the new champion")
        if not poll(lambda: client.model_version() == release_id, _RELOAD_TIMEOUT_SECONDS):
            raise ServingError(
                f"the predictor did not load release {release_id[:12]} within "
                f"{_RELOAD_TIMEOUT_SECONDS} s: see {self._settings.home / 'predictor.log'}"
            )
        self._progress.finish(f"serving release {release_id[:12]}, without an interruption")

    def save_training_report(self, run: LocalRun) -> Path:
        key = self._champions.registry.find(run.release_id).prefix + TRAINING_REPORT
        name = f"training-{run.release_id[:12]}.html"
        return self._download(self._settings.models_bucket, key, name)

    def _download(self, bucket: str, key: str, name: str) -> Path:
        path = self._settings.home / "reports" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(self.store.get(bucket, key))
        return path
