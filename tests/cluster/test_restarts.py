"""An outage of the object store while a job runs.

Each job succeeds, or fails with one line and succeeds when it is repeated. No partial data is left.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pytest

from skyclass.monitoring.documents import window_prefix
from skyclass.registry.releases import Registry
from skyclass.sources.simulated import draw
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import KEY, Era
from skyclass.tables.observations import ObservationsTable
from skyclass.tables.prediction_history import read_daily_history
from skyclass.tables.predictions import PredictionsTable
from tests.support.cluster.chart import INGESTED, INGESTED_ROWS, Installation
from tests.support.cluster.kube import Shell, eventually
from tests.support.cluster.node import Node, start_node
from tests.support.faults.history import History
from tests.support.rows import name_rows

MODE = "photometric"
SAMPLE_ROWS = 2_000
"""Ingested rows whose keys are followed: so many at the beginning, the middle and the end."""


@contextmanager
def outage(installation: Installation) -> Iterator[None]:
    """Stop the object store while the block runs."""
    namespace, store = installation.namespace, f"statefulset/{installation.store}"
    selector = f"app.kubernetes.io/component={installation.engine}"
    namespace.kubectl("scale", store, "--replicas=0")
    try:
        eventually(lambda: not namespace.list_names("pods", selector), 60, interval=0.2)
        yield
    finally:
        namespace.kubectl("scale", store, "--replicas=1")
        namespace.kubectl("rollout", "status", store, "--timeout=120s")


@pytest.fixture(scope="module")
def node(caller: Shell) -> Iterator[Node]:
    """A pod that pauses jobs."""
    with start_node(caller) as node:
        yield node


def draw_sample() -> pd.DataFrame:
    """Return the keys of a sample of the ingested rows."""
    starts = (0, INGESTED_ROWS // 2, INGESTED_ROWS - SAMPLE_ROWS)
    rows = pa.concat_tables([draw(Era.EBOSS, first, SAMPLE_ROWS, seed=2) for first in starts])
    return rows.select(KEY).to_pandas()


def run_with_outage(
    installation: Installation,
    node: Node,
    history: History,
    start: Callable[[], str],
    has_progressed: Callable[[str], bool],
) -> None:
    """Run a job with an outage in between, and repeat it if it fails.

    Args:
        installation: The installation.
        node: Pauses the job until the object store has stopped, so that it cannot end before.
        history: The history of the test.
        start: Starts the job, and returns its name.
        has_progressed: Returns whether the job has reached the point at which the outage begins.
    """
    namespace = installation.namespace
    job = start()
    eventually(lambda: has_progressed(job), 180, interval=0.1)
    (pod,) = namespace.list_job_pods(job)
    with ExitStack() as stack:
        with node.pause(pod):
            stack.enter_context(outage(installation))
        eventually(lambda: "is unreachable" in namespace.read_logs(job), 180)
        history.fire(f"{job} reported that the object store is unreachable")
    with history.recovery():
        succeeded = namespace.wait_for_job(job, 600)
        assert "Traceback" not in namespace.read_logs(job)
        if not succeeded:
            job = start()
            assert namespace.wait_for_job(job, 600), namespace.read_logs(job)


@pytest.mark.fault("store-down-during-upload")
def test_publish(scaled: Installation, node: Node, history: History) -> None:
    def list_releases() -> list[str]:
        with scaled.connect_to_store() as settings:
            registry = Registry(ObjectStore(settings))
            releases = registry.list_releases(MODE)
            for release in releases:
                for entry in release.manifest.files:
                    registry.read_file(release, entry.path)  # verifies the digest
            return [release.id for release in releases]

    before = list_releases()
    history.attempt("new release")
    run_with_outage(
        scaled,
        node,
        history,
        lambda: scaled.start_training(MODE, source_uri="table:", promotion="never"),
        lambda job: "step publish" in scaled.namespace.read_logs(job),
    )

    history.acknowledge("new release")
    history.find("new release" for id in list_releases() if id not in before)


@pytest.mark.fault("store-down-during-upload")
def test_drift(scaled: Installation, node: Node, history: History) -> None:
    def read_reports() -> dict[str, bytes]:
        with scaled.connect_to_store() as settings:
            store, bucket = ObjectStore(settings), settings.reports_bucket
            return {key: store.get(bucket, key) for key in store.list_keys(bucket, window)}

    # Yesterday: older than the windows of other tests, which read the newest one.
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    window = window_prefix(Mode(MODE), end)
    job = f"{scaled.name}-drift-{MODE}"
    days = ("--start", f"{end - timedelta(days=1):%Y-%m-%d}", "--end", f"{end:%Y-%m-%d}")

    def start() -> str:
        return scaled.namespace.start_cron_job(job, "drift", "--mode", MODE, *days)

    def has_pod(job: str) -> bool:
        return bool(scaled.namespace.list_job_pods(job))

    history.attempt(window)
    run_with_outage(scaled, node, history, start, has_pod)
    history.acknowledge(window)
    reports = read_reports()
    assert {key.removeprefix(window) for key in reports} == {
        "accuracy.json", "report.html", "sample.parquet", "snapshot.json.gz", "verdict.json",
    }  # fmt: skip
    assert json.loads(reports[f"{window}verdict.json"])["verdict"] != "error"
    history.find(key.removesuffix("verdict.json") for key in reports if "verdict" in key)


@pytest.mark.fault("store-down-before-commit")
def test_ingest(scaled: Installation, node: Node, history: History) -> None:
    cron_job = f"{scaled.name}-ingest"
    with scaled.connect_to_store() as settings:
        before = ObservationsTable(settings).version()

    def has_committed() -> bool:
        with scaled.connect_to_store() as settings:
            return ObservationsTable(settings).version() > before

    def start() -> str:
        return scaled.namespace.start_cron_job(cron_job)

    sample = draw_sample()
    history.attempt(*name_rows(sample))
    run_with_outage(scaled, node, history, start, lambda job: has_committed())
    history.acknowledge(*name_rows(sample))

    with scaled.connect_to_store() as settings:
        table = ObservationsTable(settings)
        version = table.version()
        rows = table.read(version, [*KEY, "source"])
    assert not rows.duplicated(list(KEY)).any()
    assert (rows["source"] == INGESTED).sum() == INGESTED_ROWS
    history.find(name_rows(rows.merge(sample, on=list(KEY))))

    repeated = start()
    assert scaled.namespace.wait_for_job(repeated), scaled.namespace.read_logs(repeated)
    with scaled.connect_to_store() as settings:
        assert ObservationsTable(settings).version() == version


@pytest.fixture
def ingested(scaled: Installation) -> Installation:
    """The installation, whose table has the rows of the ingest job."""
    job = scaled.namespace.start_cron_job(f"{scaled.name}-ingest")
    assert scaled.namespace.wait_for_job(job, 600), scaled.namespace.read_logs(job)
    return scaled


@pytest.mark.fault("store-down-before-commit")
@pytest.mark.usefixtures("ingested")
def test_score(scaled: Installation, node: Node, history: History) -> None:
    cron_job, release = f"{scaled.name}-score-{MODE}", scaled.get_release(MODE)
    with scaled.connect_to_store() as settings:
        before = PredictionsTable(settings).newest_version()

    def start() -> str:
        return scaled.namespace.start_cron_job(cron_job)

    def has_committed() -> bool:
        with scaled.connect_to_store() as settings:
            return PredictionsTable(settings).newest_version() != before

    sample = draw_sample()
    history.attempt(*name_rows(sample))
    run_with_outage(scaled, node, history, start, lambda job: has_committed())

    with scaled.connect_to_store() as settings:
        version = PredictionsTable(settings).version()
        scored = PredictionsTable(settings).read_batches(release, [*KEY])
        found = pa.Table.from_batches(scored).to_pandas()
        observations = ObservationsTable(settings)
        rows = observations.read(observations.version(), [*INPUTS[Mode(MODE)], *KEY])
        bands = Registry(ObjectStore(settings)).read(Mode(MODE), release).manifest.missing_bands
        days = read_daily_history(settings, release)
    rows = rows[rows.isna().sum(axis=1) <= (1 if bands else 0)]
    rows = rows.dropna(subset=[name for name in rows.columns if name not in bands])
    assert sum(day.rows for day in days) == len(rows) >= INGESTED_ROWS
    history.acknowledge(*name_rows(rows.merge(sample, on=list(KEY))))
    history.find(name_rows(found.merge(sample, on=list(KEY))))

    repeated = start()
    assert scaled.namespace.wait_for_job(repeated), scaled.namespace.read_logs(repeated)
    with scaled.connect_to_store() as settings:
        assert PredictionsTable(settings).version() == version
