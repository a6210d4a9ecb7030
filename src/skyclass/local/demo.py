"""The whole story on one machine: train, serve, watch the sky change, notice, and learn again.

Every part is the real one: an S3 server, KFP's local runner, a KServe process, the drift job. The
numbers come from the objects alone: none of those that are classified has been trained on before.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from skyclass.admin.bootstrap import RunTraining
from skyclass.client import Client
from skyclass.errors import CatalogError, ServingError
from skyclass.ingest.validation import validate_rows
from skyclass.local.progress import Teller
from skyclass.local.s3_server import free_ports
from skyclass.monitoring.documents import REPORT as DRIFT_REPORT
from skyclass.monitoring.drift_job import run_drift
from skyclass.monitoring.verdict import Verdict
from skyclass.orchestration.local_runner import LocalRun
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import REPORT
from skyclass.settings import Settings
from skyclass.sources import open_source
from skyclass.sources.simulated import is_synthetic
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import FIRST_MJD, Era
from skyclass.tables.prediction_log import read_log

DEFAULT_SOURCE = "simulated:?rows=18000&era=legacy,boss,eboss&seed=0"

MIN_EARLY, MIN_LATE = 4_000, 6_000
"""Fewer leave a hold-out, a fifth of what is trained on, that no window can be compared with."""

_IMPATIENT = {
    "SKYCLASS_SERVING_FOLLOW_SECONDS": "1",
    "SKYCLASS_SERVING_LOG_FLUSH_SECONDS": "1",
}
"""A person is watching: the predictor's background threads need not wait as long as usual."""

_READY_SECONDS = 60
_LOG_SECONDS = 30
_FOLLOW_SECONDS = 30
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Scene:
    """One set of new objects, classified by the endpoint and judged by the drift job.

    Attributes:
        name: `before`, `during` or `after` the survey moved on.
        objects: How many.
        accuracy: Share that the endpoint classified rightly.
        release: The release that answered.
        verdict: What the drift job said of the window.
        report: Its HTML report, as a file.
    """

    name: str
    objects: int
    accuracy: float
    release: str
    verdict: Verdict
    report: Path


@dataclass(frozen=True)
class Story:
    """How it went.

    Attributes:
        mode: The mode of the models.
        synthetic: Whether the objects were simulated.
        scenes: Before, during and after.
        promoted: Whether the second training's release became the champion.
        verdict: Why, or why not.
        training_reports: The HTML reports of both trainings, as files.
    """

    mode: Mode
    synthetic: bool
    scenes: tuple[Scene, ...]
    promoted: bool
    verdict: str
    training_reports: tuple[Path, ...]


@dataclass(frozen=True)
class Cast:
    """The objects of the story, by the time at which they enter it; each in one part only.

    Attributes:
        known: Early ones, with their labels from the start.
        before: Early ones that the endpoint sees first.
        during: Late ones that the endpoint sees before anything was learnt from such.
        learnt: Late ones whose labels arrive next.
        after: Late ones that the endpoint sees last.
    """

    known: pd.DataFrame
    before: pd.DataFrame
    during: pd.DataFrame
    learnt: pd.DataFrame
    after: pd.DataFrame


def tell(
    settings: Settings, source_uri: str, mode: Mode, train: RunTraining, teller: Teller
) -> Story:
    """Run the whole story.

    Args:
        settings: A home folder of the demo's own, and a running object store.
        source_uri: Where the objects come from.
        mode: Which measurements the models see.
        train: Runs the training pipeline.
        teller: Told what happens.

    Raises:
        SkyclassError: A part of it failed.
    """
    store = ObjectStore(settings)
    store.make_buckets()
    champions = LocalChampionStore(store)
    teller.begin(f"Reading {source_uri}")
    cast, synthetic = read_cast(source_uri, mode, store)
    known, learnt = settings.home / "known.csv", settings.home / "learnt.csv"
    cast.known.to_csv(known, index=False)
    cast.learnt.to_csv(learnt, index=False)
    teller.done(f"{len(cast.known):,} early objects with labels; late ones follow")

    def run(what: str, parameters: Mapping[str, str]) -> LocalRun:
        teller.begin(what)
        given = {"mode": str(mode), "reason": what, **parameters}
        done = train(given, settings.home / "runs", teller.step)
        outcome = "is the champion" if done.promoted else "was not promoted"
        teller.done(f"release {done.release_id[:12]} {outcome}: {done.verdict}")
        return done

    first = run("First training", {"source_uri": str(known)})
    if not first.promoted:
        raise ServingError(f"the first release did not pass the gate ({first.verdict}): stop here")
    with _predictor(settings, mode, teller) as client:
        scenes = [
            _play("before", cast.before, client, store, champions, mode, teller),
            _play("during", cast.during, client, store, champions, mode, teller),
        ]
        newest = {"source_uri": str(learnt), "newest_rows": str(len(cast.learnt))}
        second = run("Second training, on the newest labels", newest)
        if second.promoted:
            teller.begin("The endpoint takes up the new champion")
            _wait(
                lambda: client.model_version() == second.release_id,
                _FOLLOW_SECONDS,
                "the endpoint did not take up the new champion",
            )
            teller.done(f"it answers with {second.release_id[:12]}, and was never away")
        scenes.append(_play("after", cast.after, client, store, champions, mode, teller))
    reports = tuple(
        _save(
            store,
            settings.models_bucket,
            champions.registry.find(release).prefix + REPORT,
            f"training-{release[:12]}.html",
        )
        for release in (first.release_id, second.release_id)
    )
    return Story(mode, synthetic, tuple(scenes), second.promoted, second.verdict, reports)


def read_cast(source_uri: str, mode: Mode, store: ObjectStore) -> tuple[Cast, bool]:
    """Read the objects and give each its part, by its night.

    Early is the Legacy survey where that makes up a fair share of the objects, else the older half.

    Returns:
        The cast, and whether it is synthetic.

    Raises:
        CatalogError: There are too few labelled, complete objects for monitoring to judge.
    """
    source = open_source(source_uri, store)
    checked = [
        validate_rows(batch.rows).valid.to_pandas() for batch in source.read_batches(after=0)
    ]
    rows = pd.concat(checked).dropna(subset=[*INPUTS[mode], "class"])
    boundary = FIRST_MJD[Era.BOSS]
    if not 0.2 < (rows["mjd"] < boundary).mean() < 0.8:
        boundary = int(rows["mjd"].median())
    is_early = rows["mjd"] < boundary
    early = rows[is_early].sample(frac=1, random_state=0)
    late = rows[~is_early].sample(frac=1, random_state=0)
    quarter, half = len(late) // 4, len(late) // 2
    if len(early) < MIN_EARLY or len(late) < MIN_LATE:
        raise CatalogError(
            f"{source_uri}: {len(early):,} early and {len(late):,} late objects with a label and "
            f"all {mode} inputs are too few to be judged: give {MIN_EARLY:,} and {MIN_LATE:,}"
        )
    return Cast(
        known=early[len(early) // 4 :],
        before=early[: len(early) // 4],
        during=late[:quarter],
        learnt=late[quarter : quarter + half],
        after=late[quarter + half :],
    ), bool(rows["release"].map(is_synthetic).all())


def _play(
    name: str,
    objects: pd.DataFrame,
    client: Client,
    store: ObjectStore,
    champions: LocalChampionStore,
    mode: Mode,
    teller: Teller,
) -> Scene:
    teller.begin(f"Classifying {len(objects):,} new objects over HTTP ({name})")
    start = datetime.now(UTC)
    answers = client.classify(objects)
    release = str(answers["model_version"].iloc[0])
    accuracy = float((answers["predicted"] == objects["class"]).mean())
    teller.done(f"accuracy {accuracy:.1%} with release {release[:12]}")

    teller.begin("Judging them for drift")

    def logged() -> bool:
        return len(read_log(store, start, datetime.now(UTC), mode, release).rows) >= len(objects)

    _wait(logged, _LOG_SECONDS, "the prediction log did not arrive in the object store")
    result = run_drift(store, champions, mode, start, datetime.now(UTC))
    verdict = result.verdict
    bucket = store.settings.reports_bucket
    report = _save(store, bucket, result.prefix + DRIFT_REPORT, f"drift-{name}.html")
    teller.done(f"{verdict.verdict}: {verdict.reason}")
    return Scene(name, len(objects), accuracy, release, verdict.verdict, report)


@contextmanager
def _predictor(settings: Settings, mode: Mode, teller: Teller) -> Iterator[Client]:
    """A predictor process that follows the champion, stopped at the end whatever happens."""
    teller.begin("Starting the KServe predictor")
    begun = time.monotonic()
    log = settings.home / "predictor.log"
    (port,) = free_ports(1)
    arguments = ["serve", "--mode", str(mode), "--port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-m", "skyclass", *arguments],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C at the terminal is ours to pass on
            env={**os.environ, **_IMPATIENT},
        )
    client = Client(f"http://127.0.0.1:{port}", mode)
    try:
        _wait(
            lambda: client.is_ready() or process.poll() is not None,
            _READY_SECONDS,
            f"the predictor is not ready (see {log})",
        )
        if process.poll() is not None:
            raise ServingError(f"the predictor ended at once: see {log}")
        teller.done(f"it answers after {time.monotonic() - begun:.1f} s")
        yield client
    finally:
        process.terminate()
        process.wait()


def _save(store: ObjectStore, bucket: str, key: str, name: str) -> Path:
    path = store.settings.home / "reports" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(store.get(bucket, key))
    return path


def _wait(condition: Callable[[], bool], seconds: float, complaint: str) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise ServingError(f"{complaint} within {seconds:g} s")
        time.sleep(_POLL_SECONDS)
