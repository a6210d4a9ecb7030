"""Rollouts, lost pods and autoscaling under load do not fail any request."""

import json
import time

from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import Namespace, Shell, eventually
from tests.support.cluster.load import generate_load

MODE = "photometric"
SERVICE = f"skyclass-{MODE}"


def list_pods(namespace: Namespace) -> set[str]:
    return namespace.list_names("pods", f"serving.kserve.io/inferenceservice={SERVICE}")


def wait_for_rollout(namespace: Namespace) -> None:
    namespace.kubectl("rollout", "status", f"deployment/{SERVICE}-predictor", "--timeout=600s")


def test_a_rollout_and_a_lost_pod_fail_no_request(scaled: Installation, caller: Shell) -> None:
    namespace = scaled.namespace
    pods = list_pods(namespace)
    assert len(pods) >= 2

    with generate_load(caller, MODE) as load:
        namespace.kubectl("delete", "pod", min(pods))
        wait_for_rollout(namespace)
        # KServe reverts `kubectl rollout restart`, but propagates annotations to the pods.
        namespace.kubectl("annotate", f"inferenceservice/{SERVICE}", f"test/rollout={time.time()}")
        eventually(lambda: not pods & list_pods(namespace), 600)
        wait_for_rollout(namespace)

    assert len(load.versions) > 100


def test_the_largest_requests_fit_the_memory_limit(scaled: Installation, caller: Shell) -> None:
    with generate_load(caller, MODE, callers=3, rows=10_000, least=30):
        pass

    for pod in scaled.namespace.get("pods")["items"]:
        for status in pod["status"].get("containerStatuses", []):
            assert status["restartCount"] == 0, f"{pod['metadata']['name']}: {status['lastState']}"


def test_autoscaling_up_and_down_fails_no_request(scaled: Installation, caller: Shell) -> None:
    namespace, scaler = scaled.namespace, f"hpa/{SERVICE}-predictor"
    # Scale down during the test instead of after the default of five minutes.
    behavior = {"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}}

    def count_replicas() -> int:
        return int(namespace.get(scaler)["status"].get("currentReplicas", 0))

    def is_scaled_down() -> bool:
        """Return whether two pods are left; KServe reverts the patch, so it is repeated."""
        namespace.kubectl("patch", scaler, "--type=merge", "-p", json.dumps(behavior))
        return count_replicas() == 2

    eventually(is_scaled_down, seconds=400)  # earlier tests may have scaled it up
    with generate_load(caller, MODE, callers=4, rows=500) as load:
        eventually(lambda: count_replicas() == 3, seconds=400)
        wait_for_rollout(namespace)
    assert len(load.versions) > 50
    with generate_load(caller, MODE, interval_seconds=0.2):
        eventually(lambda: is_scaled_down() and len(list_pods(namespace)) == 2, seconds=400)
