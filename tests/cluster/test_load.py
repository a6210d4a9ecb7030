"""Disturbances under load: none is noticed by those who ask."""

import json
import time

from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import Namespace, Shell, eventually
from tests.support.cluster.load import steady

MODE = "photometric"
SERVICE = f"skyclass-{MODE}"


def predictor_pods(namespace: Namespace) -> set[str]:
    return namespace.names("pods", f"serving.kserve.io/inferenceservice={SERVICE}")


def roll_out(namespace: Namespace) -> None:
    """Wait until the predictor's Deployment is what it should be."""
    namespace.kubectl("rollout", "status", f"deployment/{SERVICE}-predictor", "--timeout=600s")


def test_a_rollout_and_a_lost_pod_fail_no_request(lively: Installation, caller: Shell) -> None:
    namespace = lively.namespace
    pods = predictor_pods(namespace)
    assert len(pods) >= 2

    with steady(caller, MODE) as load:
        namespace.kubectl("delete", "pod", min(pods))
        roll_out(namespace)
        # KServe takes back what `kubectl rollout restart` changes, and passes annotations on.
        namespace.kubectl("annotate", f"inferenceservice/{SERVICE}", f"test/rollout={time.time()}")
        eventually(lambda: not pods & predictor_pods(namespace), 600)
        roll_out(namespace)

    assert len(load.versions) > 100


def test_the_largest_requests_fit_the_memory_limit(lively: Installation, caller: Shell) -> None:
    with steady(caller, MODE, callers=3, rows=10_000) as load:
        time.sleep(15)

    assert len(load.versions) > 10
    for pod in lively.namespace.get("pods")["items"]:
        for status in pod["status"].get("containerStatuses", []):
            assert status["restartCount"] == 0, f"{pod['metadata']['name']}: {status['lastState']}"


def test_the_autoscaler_goes_out_and_back_without_a_failed_request(
    lively: Installation, caller: Shell
) -> None:
    namespace, scaler = lively.namespace, f"hpa/{SERVICE}-predictor"
    # Back within the test, not after the five minutes that are sensible elsewhere.
    quick = {"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}}

    def replicas() -> int:
        return int(namespace.get(scaler)["status"].get("currentReplicas", 0))

    def shrinks() -> bool:
        """Whether it is back; KServe undoes the change at its next look, so it is made again."""
        namespace.kubectl("patch", scaler, "--type=merge", "-p", json.dumps(quick))
        return replicas() == 2

    eventually(shrinks, seconds=400)  # the load before may have scaled it
    with steady(caller, MODE, callers=4, rows=500) as load:
        eventually(lambda: replicas() == 3, seconds=400)
        roll_out(namespace)
    assert len(load.versions) > 50
    with steady(caller, MODE, pause=0.2):
        eventually(lambda: shrinks() and len(predictor_pods(namespace)) == 2, seconds=400)
