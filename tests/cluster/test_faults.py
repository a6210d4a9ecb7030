"""Processes of an installation that end with SIGKILL under load: one predictor, and all pods.

The installation is the tests' own: others assert that no container of theirs has restarted.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import urllib3

from skyclass.monitoring.windows import MAX_ROWS, Window, read_window
from skyclass.promotion.events import Promotion, PromotionLog
from skyclass.serving.settings import ServingSettings
from skyclass.sources.simulated import draw
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import KEY, Era
from skyclass.tables.observations import ObservationsTable
from tests.support.cluster.chart import OBJECTS, Installation
from tests.support.cluster.kube import Namespace, Shell, eventually
from tests.support.cluster.node import Node, get_status, start_node
from tests.support.cluster.recorded_load import RecordedLoad, record_load
from tests.support.cluster.windows import SEND_REQUEST
from tests.support.faults.history import History
from tests.support.rows import name_rows

MODE = Mode.PHOTOMETRIC
SERVICE = f"skyclass-{MODE}"
CONTAINER = "kserve-container"
CALLER = "skyclass-client"
SIGKILL_EXIT_CODE = 137
INGESTED_ROWS = 200_000
INGESTED = f"simulated:?rows={INGESTED_ROWS}&era=eboss&seed=3"
VALUES = {
    "modes__spectroscopic__enabled": False,
    "bootstrap__sourceUri": "simulated:?rows=3000&era=legacy&seed=0",
    "bootstrap__parameters": {"candidates": "decision_tree"},
    "bootstrap__resources__requests__cpu": "100m",
    "predictor__minReplicas": 2,
    "predictor__maxReplicas": 2,
    "ingest__enabled": True,
    "ingest__uri": INGESTED,
    "drift__enabled": False,
    "maintain__enabled": False,
}
WRITTEN, LOST = (f'skyclass_log_rows_total{{outcome="{name}"}}' for name in ("written", "lost"))
WAITING = "skyclass_log_queue_rows"
FLUSH_SECONDS = ServingSettings.model_fields["log_flush_seconds"].default
PROPAGATION_SECONDS = 2
"""Time that kube-proxy may take to apply a change of endpoints; by default it waits for 1 s."""
WRITE_SECONDS = 5
"""Time that a write of the prediction log may take."""


@dataclass(frozen=True)
class Place:
    """An installation with two predictors, a pod that calls them and one that kills them."""

    installation: Installation
    caller: Shell
    node: Node

    @property
    def namespace(self) -> Namespace:
        return self.installation.namespace

    def list_pods(self) -> dict[str, dict[str, Any]]:
        """Return all pods of the chart by name."""
        pods = self.namespace.get("pods", "-l", f"!{CALLER}")["items"]
        return {pod["metadata"]["name"]: pod for pod in pods}

    def list_predictors(self) -> dict[str, dict[str, Any]]:
        label = f"serving.kserve.io/inferenceservice={SERVICE}"
        pods = self.namespace.get("pods", "-l", label)["items"]
        return {pod["metadata"]["name"]: pod for pod in pods}

    def list_endpoints(self) -> set[str]:
        """Return the names of the predictors that the Service sends requests to."""
        label = f"kubernetes.io/service-name={SERVICE}-predictor"
        return {
            endpoint["targetRef"]["name"]
            for each in self.namespace.get("endpointslices", "-l", label)["items"]
            for endpoint in each.get("endpoints") or []
            if endpoint["conditions"].get("ready")
        }

    def predict(self) -> Any:
        """Return the predictions for some objects."""
        body = json.dumps({"instances": OBJECTS[MODE]})
        address = f"http://{SERVICE}-predictor/v1/models/{SERVICE}:predict"
        return json.loads(self.caller.run_python(SEND_REQUEST, address, body))

    def read_metric(self, pod: str, name: str) -> int:
        """Return the value of a metric of a predictor."""
        with self.namespace.forward(f"pod/{pod}", 8080) as address:
            lines = urllib3.request("GET", f"{address}/metrics").data.decode().splitlines()
        return next(int(float(line.split()[-1])) for line in lines if line.startswith(name))

    def find_logged(self, start: datetime) -> list[str]:
        """Return the keys of the rows in the prediction log since a time."""
        window = Window(MODE, self.installation.get_release(MODE), start, datetime.now(UTC))
        with self.installation.connect_to_store() as settings:
            found = read_window(ObjectStore(settings), window)
        assert found.accounting.rows_used < MAX_ROWS, "rows are missing from the sample"
        return name_rows(found.rows.dropna(subset=list(KEY)).astype(dict.fromkeys(KEY, int)))


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with Namespace.create("faults") as namespace:
        installation = Installation(namespace, "skyclass", **VALUES)
        installation.install()
        installation.wait_until_served((MODE,))
        caller = installation.start_shell("caller", {CALLER: "true"})
        with start_node(caller) as node:
            place = Place(installation, caller, node)
            eventually(lambda: len(place.list_endpoints()) == 2, 180)
            yield place


def has_restarted(pod: dict[str, Any], before: dict[str, Any]) -> bool:
    """Return whether all containers of a pod are ready, and none of them is an earlier one."""
    statuses = pod["status"].get("containerStatuses", [])
    earlier = {each["containerID"] for each in before["status"]["containerStatuses"]}
    return all(each["ready"] and each["containerID"] not in earlier for each in statuses)


def check_log(
    place: Place, history: History, load: RecordedLoad, start: datetime, killed: dict[str, float]
) -> None:
    """Find the answers in the prediction log, and compare the missing ones with the counters.

    Args:
        place: The installation.
        history: The history.
        load: The answers.
        start: Start of the load.
        killed: Names of the killed predictors and when they were killed.
    """
    history.attempt(*load.attempted)
    history.acknowledge(*load.acknowledged)
    counted = sum(place.read_metric(pod, LOST) for pod in killed)
    found: list[str] = []

    def is_complete() -> bool:
        found[:] = place.find_logged(start)
        return len(load.acknowledged.keys() - set(found)) <= counted

    eventually(is_complete, 60)
    missing = load.acknowledged.keys() - set(found)
    oldest = min((load.acknowledged[key] for key in missing), default=time.time())
    assert oldest > min(killed.values()) - FLUSH_SECONDS - WRITE_SECONDS, "more than one flush"
    history.count_losses(*missing)
    history.find(found)


@pytest.mark.fault("predictor-killed")
def test_a_killed_predictor_fails_no_request_after_the_service_has_noticed(
    place: Place, history: History
) -> None:
    predictors, start = place.list_predictors(), datetime.now(UTC)

    def has_noticed() -> bool:
        """Return whether the Service has removed the predictor, perhaps added it again."""
        if name not in place.list_endpoints():
            return True
        return has_restarted(place.list_predictors()[name], predictors[name])

    with record_load(place.caller, MODE) as load:
        eventually(lambda: place.find_logged(start), 60)
        name = max(predictors, key=lambda pod: place.read_metric(pod, WRITTEN))
        eventually(lambda: place.read_metric(name, WAITING), 60, 0.1)
        killed_at = time.time()
        assert place.node.kill_container(predictors[name], CONTAINER)
        with history.recovery():
            eventually(has_noticed, 60, 0.1)
            noticed_at = time.time()
            eventually(lambda: name in place.list_endpoints(), 180, 0.2)

    status = get_status(place.list_predictors()[name], CONTAINER)
    assert status["lastState"]["terminated"]["exitCode"] == SIGKILL_EXIT_CODE
    history.fire(
        f"{name} ended with SIGKILL; {len(load.failed_at)} of "
        f"{load.sent_once + len(load.failed_at)} requests without a retry failed"
    )
    late = [at - noticed_at for at in load.failed_at if at > noticed_at + PROPAGATION_SECONDS]
    assert late == [], "requests failed after the Service had noticed"
    assert load.errors == [], "requests failed although the client retries them"
    check_log(place, history, load, start, {name: killed_at})


@pytest.mark.fault("all-pods-restart")
def test_after_all_pods_ended_at_once_everything_comes_back_alone(
    place: Place, history: History
) -> None:
    installation, namespace = place.installation, place.namespace

    def read_table() -> list[str]:
        """Return the keys of the rows of the observations table."""
        with installation.connect_to_store() as settings:
            table = ObservationsTable(settings)
            rows = table.read(table.version(), KEY)
        return [f"table {key}" for key in name_rows(rows)]

    def list_promotions() -> list[Promotion]:
        with installation.connect_to_store() as settings:
            return PromotionLog(ObjectStore(settings)).list_promotions(MODE)

    answer, promotions, release = place.predict(), list_promotions(), installation.get_release(MODE)
    history.acknowledge(*read_table())
    ingested = draw(Era.EBOSS, 0, INGESTED_ROWS, 3).to_pandas()
    ingested_keys = [f"table {key}" for key in name_rows(ingested)]
    history.attempt(*ingested_keys)
    start = datetime.now(UTC)
    with record_load(place.caller, MODE) as load:
        eventually(lambda: place.find_logged(start), 60)
        job = namespace.start_cron_job(f"{installation.name}-ingest")
        (interrupted,) = eventually(lambda: namespace.list_job_pods(job), 60, 0.2)
        servers = {
            name: pod
            for name, pod in place.list_pods().items()
            if pod["metadata"]["ownerReferences"][0]["kind"] != "Job"
        }
        killed = [*servers.values(), interrupted]
        processes = place.node.kill_pods(killed, awaited=interrupted)
        killed_at = time.time()
        with history.recovery():

            def is_back() -> bool:
                now = place.list_pods()
                return all(has_restarted(now[name], pod) for name, pod in servers.items())

            eventually(is_back, 300)
            eventually(lambda: len(place.list_endpoints()) == 2, 60)
    eventually(lambda: namespace.get(f"job/{job}")["status"].get("failed"), 60)  # interrupted
    history.fire(f"{processes} processes of {len(killed)} pods ended with SIGKILL")

    if not namespace.wait_for_job(job, 300):
        job = namespace.start_cron_job(f"{installation.name}-ingest")  # as its schedule would
        assert namespace.wait_for_job(job, 300), namespace.read_logs(job)
    history.acknowledge(*ingested_keys)
    history.find(read_table())
    assert installation.get_release(MODE) == release
    assert list_promotions() == promotions
    assert place.predict() == answer
    check_log(place, history, load, start, dict.fromkeys(place.list_predictors(), killed_at))
