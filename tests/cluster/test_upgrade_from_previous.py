"""An upgrade from the previous chart, and its rollback: no failed request, and all data are read.

The tests are the steps of one story, in this order. They need the images and the chart of the
previous version (`make previous-images`).
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from skyclass.admin.verify import verify_store
from skyclass.monitoring.documents import load_documents
from skyclass.monitoring.verdict import DriftVerdict
from skyclass.monitoring.windows import Window
from skyclass.promotion.events import PromotionLog
from skyclass.registry.releases import Registry
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.log.read import read_log
from skyclass.tables.observations import ObservationsTable
from skyclass.tables.prediction_history import read_daily_history
from tests.support.cluster.chart import (
    CHART,
    OBJECTS,
    UNSCHEDULED,
    Installation,
    make_arguments,
)
from tests.support.cluster.kube import ROOT, Namespace, Shell, eventually
from tests.support.cluster.load import generate_load
from tests.support.cluster.windows import TIME, predict_in_new_window

MODE = "photometric"
SERVICE = f"skyclass-{MODE}"
PREVIOUS = ROOT / ".tools/previous"
VALUES: dict[str, Any] = {
    **UNSCHEDULED,
    "modes__spectroscopic__enabled": False,
    "bootstrap__sourceUri": "simulated:?rows=3000&era=legacy&seed=0",
    "bootstrap__parameters": {"candidates": "decision_tree"},
    "bootstrap__resources__requests__cpu": "20m",  # other installations share the node
    "predictor__resources__requests__cpu": "20m",
    "monitor__enabled": False,
    "predictPage__enabled": False,
    "ingest__enabled": True,
    "ingest__uri": "simulated:?rows=2000&era=boss&seed=1",
    "score__enabled": True,
}


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """The previous chart, which serves a release."""
    chart = PREVIOUS / "charts/skyclass"
    if not chart.exists():
        pytest.fail(f"{chart} is missing: run `make previous-images`")
    with Namespace.create("previous") as namespace:
        installation = Installation(namespace, "skyclass", **VALUES)
        arguments = select_images(make_arguments(VALUES))
        installation.helm("install", installation.name, str(chart), *arguments)
        installation.wait_until_served((MODE,))
        yield installation


def select_images(arguments: list[str]) -> list[str]:
    """Keep the registry of additional values, but not the tags, which are of this version."""
    file = os.environ.get("SKYCLASS_TEST_VALUES")
    if not file:
        return arguments
    images = yaml.safe_load(Path(file).read_text()).get("images", {})
    kept = [
        f"--set=images.{name}.{key}={image[key]}"
        for name, image in images.items()
        for key in ("registry", "repository")
        if key in image
    ]
    return [each for each in arguments if not each.startswith("--values=")] + kept


@pytest.fixture(scope="module")
def caller(installation: Installation) -> Shell:
    return installation.start_shell("caller", {"skyclass-client": "true"})


@pytest.fixture(scope="module")
def window(installation: Installation, caller: Shell) -> Window:
    """A window of the log that the previous version has written and evaluated, with all tables."""
    window = predict_in_new_window(installation, caller, 300 * OBJECTS[MODE])
    run_jobs(installation, window)
    return window


@pytest.fixture(scope="module")
def stored(installation: Installation, window: Window) -> dict[str, Any]:
    """What is read of the data of the previous version before the upgrade."""
    with installation.connect_to_store() as settings:
        return read_data(settings, window)


def run_jobs(installation: Installation, window: Window, *others: str) -> None:
    """Run all CronJobs once, and require that they succeed."""
    bounds = ("--start", f"{window.start:{TIME}}", "--end", f"{window.end:{TIME}}")
    namespace, name = installation.namespace, installation.name
    jobs = [
        namespace.start_cron_job(f"{name}-ingest"),
        namespace.start_cron_job(f"{name}-score-{MODE}"),
        namespace.start_cron_job(f"{name}-drift-{MODE}", "drift", "--mode", MODE, *bounds),
        *(namespace.start_cron_job(f"{name}-{other}") for other in others),
    ]
    for job in jobs:
        assert namespace.wait_for_job(job), namespace.read_logs(job)


def read_data(settings: Settings, window: Window) -> dict[str, Any]:
    """Read everything that is stored, with the readers of this version."""
    store, mode = ObjectStore(settings), Mode(MODE)
    table = ObservationsTable(settings)
    versions = range(table.version() + 1)
    log = read_log(store, window.start, window.end, mode, window.release)
    return {
        "observations": {each: len(table.read(each, ["plate", "class"])) for each in versions},
        "predictions": read_daily_history(settings, window.release),
        "releases": [each.id for each in Registry(store).list_releases(mode)],
        "promotions": PromotionLog(store).list_promotions(mode),
        "log": log.rows.sort_values(["prediction_id", "row"]).to_csv(index=False).splitlines(),
        "unreadable": log.unreadable,
        "verdicts": load_documents(store, DriftVerdict, mode),
        "problems": verify_store(store).problems,
    }


def change_version(installation: Installation, *command: str) -> None:
    """Run helm, and wait until its Jobs have ended and no pod of the other version is left."""
    namespace = installation.namespace
    selector = f"serving.kserve.io/inferenceservice={SERVICE}"
    before = namespace.list_names("pods", selector)
    installation.helm(*command)
    eventually(lambda: not before & namespace.list_names("pods", selector), 300)
    namespace.kubectl("rollout", "status", f"deployment/{SERVICE}-predictor", "--timeout=300s")
    for component in ("provision", "bootstrap"):
        (job,) = namespace.list_names("jobs", f"app.kubernetes.io/component={component}")
        assert namespace.wait_for_job(job, 300), namespace.read_logs(job)


def upgrade_under_load(installation: Installation, caller: Shell) -> None:
    """Upgrade to this version, and require that the release answers every request."""
    release = installation.get_release(MODE)
    with generate_load(caller, MODE) as load:
        change_version(
            installation, "upgrade", installation.name, str(CHART), "--reset-then-reuse-values",
            *make_arguments({}),
        )  # fmt: skip
    assert len(load.versions) > 100
    assert set(load.versions) == {release} == {installation.get_release(MODE)}


def start_second_replica(namespace: Namespace) -> None:
    patch = '{"spec": {"predictor": {"minReplicas": 2, "maxReplicas": 2}}}'
    namespace.kubectl("patch", f"inferenceservice/{SERVICE}", "--type=merge", "-p", patch)
    ready = "jsonpath={.status.readyReplicas}=2"
    namespace.kubectl("wait", f"deployment/{SERVICE}-predictor", f"--for={ready}", "--timeout=300s")


def test_an_upgrade_fails_no_request_and_keeps_the_release(
    installation: Installation, caller: Shell, stored: dict[str, Any]
) -> None:
    upgrade_under_load(installation, caller)


def test_data_of_the_previous_version_are_read(
    installation: Installation, stored: dict[str, Any], window: Window
) -> None:
    with installation.connect_to_store() as settings:
        found = read_data(settings, window)
    assert found == stored
    assert found["problems"] == () == found["unreadable"]
    assert len(found["log"]) == 1 + 600
    assert len(found["promotions"]) == len(found["releases"]) == len(found["verdicts"]) == 1
    assert max(found["observations"].values()) == 5_000
    assert sum(day.rows for day in found["predictions"]) > 4_000


def test_all_jobs_run_after_the_upgrade(installation: Installation, window: Window) -> None:
    run_jobs(installation, window, "maintain")


def test_a_rollback_fails_no_request_and_the_previous_version_works(
    installation: Installation, caller: Shell, window: Window, stored: dict[str, Any]
) -> None:
    newer = predict_in_new_window(installation, caller, 300 * OBJECTS[MODE])
    start_second_replica(installation.namespace)
    with generate_load(caller, MODE) as load:
        change_version(installation, "rollback", installation.name, "1")
    assert len(load.versions) > 100
    assert set(load.versions) == {window.release}

    run_jobs(installation, newer)
    with installation.connect_to_store() as settings:
        verdicts = load_documents(ObjectStore(settings), DriftVerdict, Mode(MODE))
    assert [each.window_rows for each in verdicts] == [600, 600]
    assert stored["verdicts"] == verdicts[:1]


def test_an_upgrade_with_two_replicas_fails_no_request(
    installation: Installation, caller: Shell
) -> None:
    start_second_replica(installation.namespace)
    upgrade_under_load(installation, caller)
