"""The object store goes away in the middle of a job, and comes back.

Each job ends right, or fails cleanly and succeeds when it is run again; nothing is left half done.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from skyclass.registry.releases import Registry
from skyclass.scoring.history import daily_history
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import KEY
from skyclass.tables.observations import ObservationsTable
from skyclass.tables.predictions import PredictionsTable
from tests.support.cluster.chart import INGESTED, INGESTED_ROWS, Installation
from tests.support.cluster.kube import eventually

MODE = "photometric"


@contextmanager
def outage(installation: Installation) -> Iterator[None]:
    """The store is away while the block runs."""
    namespace, store = installation.namespace, f"statefulset/{installation.name}-minio"
    selector = "app.kubernetes.io/component=minio"
    namespace.kubectl("scale", store, "--replicas=0")
    try:
        eventually(lambda: not namespace.names("pods", selector), 60, pause=0.2)
        yield
    finally:
        namespace.kubectl("scale", store, "--replicas=1")
        namespace.kubectl("rollout", "status", store, "--timeout=120s")


def survives(
    installation: Installation, start: Callable[[], str], is_in_the_middle: Callable[[str], bool]
) -> None:
    """Take the store from a job; it must notice, say so in a line, and succeed after all."""
    namespace = installation.namespace
    job = start()
    eventually(lambda: is_in_the_middle(job), 180, pause=0.1)
    with outage(installation):
        eventually(lambda: "is unreachable" in namespace.logs(job), 180)
    ended_well = namespace.finish(job, 600)
    assert "Traceback" not in namespace.logs(job)
    if not ended_well:
        job = start()
        assert namespace.finish(job, 600), namespace.logs(job)


def test_publish(lively: Installation) -> None:
    def releases() -> list[str]:
        with lively.store() as settings:
            registry = Registry(ObjectStore(settings))
            found = registry.list_releases(MODE)
            for release in found:
                for entry in release.manifest.files:
                    registry.read_file(release, entry.path)  # or it fails
            return [release.id for release in found]

    before = releases()
    survives(
        lively,
        lambda: lively.train(MODE, source_uri="table:", promotion="never"),
        lambda job: "step publish" in lively.namespace.logs(job),
    )

    assert len(releases()) == len(before) + 1


def test_drift(lively: Installation) -> None:
    def reports() -> dict[str, bytes]:
        with lively.store() as settings:
            store, bucket = ObjectStore(settings), settings.reports_bucket
            return {key: store.get(bucket, key) for key in store.list_keys(bucket, window)}

    today = datetime.now(UTC)
    window = f"drift/{MODE}/{today:%Y%m%d}T235900Z/"
    job = f"{lively.name}-drift-{MODE}"
    days = ("--start", f"{today:%Y-%m-%d}", "--end", f"{today:%Y-%m-%d}T23:59:00Z")

    def start() -> str:
        return lively.namespace.run_from(job, "drift", "--mode", MODE, *days)

    survives(lively, start, lively.namespace.is_running)
    found = reports()
    assert {key.removeprefix(window) for key in found} == {
        "accuracy.json", "report.html", "snapshot.json.gz", "verdict.json",
    }  # fmt: skip
    assert json.loads(found[f"{window}verdict.json"])["verdict"] != "error"


def test_ingest(lively: Installation) -> None:
    cron_job = f"{lively.name}-ingest"
    with lively.store() as settings:
        before = ObservationsTable(settings).version()

    def begins() -> bool:
        with lively.store() as settings:
            return ObservationsTable(settings).version() > before

    def start() -> str:
        return lively.namespace.run_from(cron_job)

    survives(lively, start, lambda job: begins())

    with lively.store() as settings:
        table = ObservationsTable(settings)
        version = table.version()
        rows = table.read(version, [*KEY, "source"])
    assert not rows.duplicated(list(KEY)).any()
    assert (rows["source"] == INGESTED).sum() == INGESTED_ROWS

    again = start()
    assert lively.namespace.finish(again), lively.namespace.logs(again)
    with lively.store() as settings:
        assert ObservationsTable(settings).version() == version


def test_score(lively: Installation) -> None:
    cron_job, release = f"{lively.name}-score-{MODE}", lively.release(MODE)

    def start() -> str:
        return lively.namespace.run_from(cron_job)

    def begins() -> bool:
        with lively.store() as settings:
            return PredictionsTable(settings).newest_version() is not None

    survives(lively, start, lambda job: begins())

    with lively.store() as settings:
        version = PredictionsTable(settings).version()
        observations = ObservationsTable(settings)
        rows = observations.read(observations.version(), [*INPUTS[Mode(MODE)]]).dropna()
        days = daily_history(settings, release)
    assert sum(day.rows for day in days) == len(rows) >= INGESTED_ROWS

    again = start()
    assert lively.namespace.finish(again), lively.namespace.logs(again)
    with lively.store() as settings:
        assert PredictionsTable(settings).version() == version
