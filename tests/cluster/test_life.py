"""Life after the installation: the loop, disturbances under load, upgrades, removal.

The load comes from a pod inside the cluster: one request after the other from two threads, none
retried, so every failure counts.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from skyclass.store.releases import Registry
from skyclass.store.s3 import ObjectStore
from tests.cluster.chart import OBJECTS, Installation
from tests.cluster.kube import Namespace, Shell, eventually

MODE = "photometric"
SERVICE = f"skyclass-{MODE}"
DRIFT = f"drift-{MODE}"
PREDICT = f"http://{SERVICE}-predictor/v1/models/{SERVICE}:predict"
TRAIN = ("run", "training", "--param", f"mode={MODE}", "--param", "candidates=decision_tree",
         "--param", "promotion=if_better")  # fmt: skip

LOAD = """
import json, os, sys, threading, urllib.request
url, threads, rows, stop = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), "/tmp/stop"
body = json.dumps({"instances": [json.loads(sys.argv[4])] * rows}).encode()
asked, failures = [], []
def ask():
    while not os.path.exists(stop):
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            urllib.request.urlopen(request, timeout=30).read()
        except OSError as error:
            failures.append(repr(error))
        asked.append(1)
workers = [threading.Thread(target=ask) for _ in range(threads)]
for worker in workers: worker.start()
for worker in workers: worker.join()
os.remove(stop)
print(json.dumps({"total": len(asked), "failures": failures}))
"""


class Load:
    """Requests without a pause, from inside the cluster."""

    def __init__(self, shell: Shell, threads: int, rows: int) -> None:
        self._shell = shell
        row = json.dumps(OBJECTS[MODE][0])
        self._arguments = (PREDICT, str(threads), str(rows), row)
        self.total, self.failures = 0, ["it did not end"]
        self._thread = threading.Thread(target=self._run)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ask while the block runs."""
        self._thread.start()
        try:
            time.sleep(3)
            yield
            time.sleep(3)
        finally:
            self._shell.python("open('/tmp/stop', 'w')")
            self._thread.join()

    def _run(self) -> None:
        said = json.loads(self._shell.python(LOAD, *self._arguments, seconds=900))
        self.total, self.failures = said["total"], said["failures"]


@pytest.fixture(scope="module")
def lively() -> Iterator[Installation]:
    """Two pods of one predictor, up to three under load."""
    with Namespace.fresh("life") as namespace:
        installation = Installation(namespace, "skyclass")
        installation.install(
            modes__spectroscopic__enabled=False,
            predictor__minReplicas=2,
            predictor__maxReplicas=3,
            ingest__enabled=True,
            ingest__uri="simulated:?rows=40000&era=eboss&seed=2",
        )
        installation.wait_until_served((MODE,))
        yield installation


@pytest.fixture(scope="module")
def client(lively: Installation) -> Shell:
    """A pod that may ask the predictor."""
    return lively.shell("load", {"skyclass-client": "true"})


def pods_of(namespace: Namespace) -> set[str]:
    """The predictor's pods."""
    return namespace.names("pods", f"serving.kserve.io/inferenceservice={SERVICE}")


def rolled_out(namespace: Namespace) -> None:
    """Wait until the predictor's Deployment is what it should be."""
    namespace.kubectl("rollout", "status", f"deployment/{SERVICE}-predictor", "--timeout=240s")


def is_new_and_ready(namespace: Namespace, name: str, before: str) -> bool:
    """Whether a pod that was killed has been replaced: the fault has fired, and is over."""
    for pod in namespace.get("pods")["items"]:
        if pod["metadata"]["name"] == name and pod["metadata"]["uid"] != before:
            return any(each["ready"] for each in pod["status"].get("containerStatuses", []))
    return False


def start_training(installation: Installation, *parameters: str) -> str:
    """Run the training pipeline in the cluster, as the bootstrap Job does."""
    namespace = installation.namespace
    (job,) = (each for each in namespace.get("jobs")["items"]
              if "-bootstrap-" in each["metadata"]["name"])  # fmt: skip
    spec = job["spec"]
    for generated in ("selector", "manualSelector"):
        spec.pop(generated, None)
    labels = spec["template"]["metadata"]["labels"]
    spec["template"]["metadata"]["labels"] = {
        key: value for key, value in labels.items() if key.startswith("app.")
    }
    arguments = [part for parameter in parameters for part in ("--param", parameter)]
    spec["template"]["spec"]["containers"][0]["args"] = [*TRAIN, *arguments]
    spec["backoffLimit"] = 0
    name = f"train-{int(time.time())}"
    namespace.apply(
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}
    )
    return name


def test_a_rollout_and_a_lost_pod_fail_no_request(lively: Installation, client: Shell) -> None:
    namespace, load = lively.namespace, Load(client, threads=2, rows=1)
    pods = pods_of(namespace)
    assert len(pods) >= 2

    with load.running():
        namespace.kubectl("delete", "pod", sorted(pods)[0])
        rolled_out(namespace)
        # KServe takes back what `kubectl rollout restart` changes, and passes annotations on.
        namespace.kubectl("annotate", f"inferenceservice/{SERVICE}", f"test/rollout={time.time()}")
        eventually(lambda: not pods & pods_of(namespace), 240)
        rolled_out(namespace)

    assert load.failures == []
    assert load.total > 100


def test_the_largest_requests_fit_the_memory_limit(lively: Installation, client: Shell) -> None:
    load = Load(client, threads=3, rows=10_000)

    with load.running():
        time.sleep(20)

    assert load.failures == []
    assert load.total > 10
    for pod in lively.namespace.get("pods")["items"]:
        for status in pod["status"].get("containerStatuses", []):
            assert "OOMKilled" not in json.dumps(status), pod["metadata"]["name"]
            assert status["restartCount"] == 0, pod["metadata"]["name"]


def test_the_autoscaler_goes_out_and_back_without_a_failed_request(
    lively: Installation, client: Shell
) -> None:
    namespace, load = lively.namespace, Load(client, threads=4, rows=500)
    scaler = f"hpa/{SERVICE}-predictor"
    # Back within the test, not after the five minutes that are sensible elsewhere.
    quick = {"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}}

    def replicas() -> int:
        return int(namespace.get(scaler)["status"].get("currentReplicas", 0))

    with load.running():
        eventually(lambda: replicas() == 3, seconds=180)
    light = Load(client, threads=1, rows=1)
    with light.running():
        namespace.kubectl("patch", scaler, "--type=merge", "-p", json.dumps(quick))
        eventually(lambda: replicas() == 2, seconds=400)

    assert load.failures == []
    assert load.total > 50
    assert light.failures == []


def test_drift_then_training_then_the_endpoint_serves_the_new_release(
    lively: Installation, client: Shell
) -> None:
    namespace, before = lively.namespace, lively.release(MODE)
    fainter = [[row[0] + 3, row[1] + 3.5, row[2] + 3, row[3] + 2.5, row[4] + 2]
               for row in OBJECTS[MODE]] * 500  # fmt: skip
    code = """
import json, sys, urllib.request
rows = json.loads(sys.argv[2])
for _ in range(2):
    request = urllib.request.Request(
        sys.argv[1], json.dumps({"instances": rows * 300}).encode(),
        {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=60).read()
"""
    client.python(code, PREDICT, json.dumps(fainter[:2]))
    time.sleep(12)  # the log is written every ten seconds

    today = datetime.now(UTC)
    window = (f"{today - timedelta(hours=1):%Y-%m-%dT%H:%MZ}",
              f"{today + timedelta(minutes=2):%Y-%m-%dT%H:%MZ}")  # fmt: skip
    job = namespace.run_from(
        f"{lively.name}-{DRIFT}",
        "drift", "--mode", MODE, "--start", window[0], "--end", window[1], "--json",
    )  # fmt: skip
    assert namespace.finish(job), namespace.logs(job)
    with lively.store() as settings:
        store = ObjectStore(settings)
        bucket = settings.reports_bucket
        newest = max(key for key in store.keys(bucket, f"drift/{MODE}/") if "verdict" in key)
        verdict = json.loads(store.get(bucket, newest))
    assert verdict["verdict"] == "drift", verdict["reason"]
    assert verdict["release"] == before

    job = start_training(
        lively,
        "source_uri=simulated:?rows=12000&era=legacy,boss&seed=1",
        "reason=drift",
        "candidates=hist_gradient_boosting,random_forest",
    )
    assert namespace.finish(job, 600), namespace.logs(job)

    after = lively.release(MODE)
    assert after != before, namespace.logs(job)
    with lively.store() as settings:
        promotions = Registry(ObjectStore(settings)).promotions(MODE)
        assert (promotions[-1].from_release, promotions[-1].to_release) == (before, after)
    ask = (
        "import json, sys, urllib.request\n"
        "print(json.load(urllib.request.urlopen(sys.argv[1]))['versions'][0])"
    )
    url = f"http://{SERVICE}-predictor/v2/models/{SERVICE}"
    assert client.python(ask, url).strip() == after


@pytest.mark.parametrize("job", ["training", "drift", "ingest"])
def test_the_store_restarts_in_the_middle(lively: Installation, job: str) -> None:
    """What was running ends right, or fails cleanly and succeeds when it is run again."""
    namespace = lively.namespace

    def start() -> str:
        if job == "training":
            return start_training(lively, "source_uri=table:", "promotion=never")
        return namespace.run_from(f"{lively.name}-{'ingest' if job == 'ingest' else DRIFT}")

    name = start()
    eventually(lambda: namespace.get(f"job/{name}")["status"].get("ready", 0) >= 1, 60, pause=0.2)
    time.sleep(3)
    store = namespace.get(f"pod/{lively.name}-minio-0")["metadata"]["uid"]
    namespace.kubectl("delete", "pod", f"{lively.name}-minio-0", "--grace-period=0", "--force")
    eventually(lambda: is_new_and_ready(namespace, f"{lively.name}-minio-0", store), 120)
    if not namespace.finish(name, 600):
        assert "Traceback" not in namespace.logs(name)
        name = start()
        assert namespace.finish(name, 600), namespace.logs(name)
    with lively.store() as settings:
        registry = Registry(ObjectStore(settings))
        for release in registry.releases(MODE):
            for entry in release.manifest.files:
                registry.read_file(release, entry.path)


def test_an_upgrade_keeps_the_release_that_is_served(lively: Installation) -> None:
    namespace, before = lively.namespace, lively.release(MODE)
    keys = lively.keys("predict")
    lively.install(
        modes__spectroscopic__enabled=False,
        predictor__minReplicas=1,
        predictor__maxReplicas=1,
        drift__schedule="30 0 * * *",
        bootstrap__parameters={"candidates": "random_forest"},
    )

    (job,) = (each for each in namespace.names("jobs") if "-bootstrap-" in each)
    assert namespace.finish(job, 300), namespace.logs(job)
    assert lively.release(MODE) == before
    assert lively.keys("predict") == keys
    assert namespace.get(f"cronjob/{lively.name}-{DRIFT}")["spec"]["schedule"] == "30 0 * * *"


def test_uninstalling_leaves_what_the_notes_say_and_touches_no_neighbour(
    lively: Installation, installed: Installation
) -> None:
    namespace, neighbour = lively.namespace, installed.release(MODE)
    namespace.kubectl("delete", "pod", "load", "--ignore-not-found")
    namespace.kubectl("delete", "jobs", "--all")
    notes = lively.helm("get", "notes", lively.name)

    lively.helm("uninstall", lively.name, "--wait")

    kinds = ("serviceaccounts,secrets,configmaps,services,statefulsets,cronjobs,jobs,roles,"
             "rolebindings,networkpolicies,poddisruptionbudgets,persistentvolumeclaims,"
             "inferenceservices.serving.kserve.io,servingruntimes.serving.kserve.io")  # fmt: skip
    ours = {
        (each["kind"], each["metadata"]["name"])
        for each in namespace.get(kinds)["items"]
        if each["metadata"]["name"] not in ("default", "kube-root-ca.crt")
        and not each["metadata"].get("ownerReferences")
    }
    left = {name for _, name in ours}
    assert left == {SERVICE, f"data-{lively.name}-minio-0"}, ours
    assert all(name in notes for name in left)
    assert installed.release(MODE) == neighbour
    installed.namespace.kubectl(
        "wait", f"inferenceservice/{SERVICE}", "--for=condition=Ready", "--timeout=10s"
    )
