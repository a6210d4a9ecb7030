"""What an upgrade keeps, and what removal leaves; run last, as nothing works after it."""

import json

from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import Namespace

MODE = "photometric"


def test_nothing_has_run_out_of_memory_so_far(lively: Installation) -> None:
    for pod in lively.namespace.get("pods")["items"]:
        assert "OOMKilled" not in json.dumps(pod["status"]), pod["metadata"]["name"]


def test_an_upgrade_keeps_the_release_that_is_served(lively: Installation) -> None:
    namespace, before = lively.namespace, lively.release(MODE)
    keys = lively.keys("predict")
    lively.install(
        predictor__minReplicas=1,
        predictor__maxReplicas=1,
        drift__schedule="30 0 * * *",
        bootstrap__parameters={"candidates": "random_forest"},
    )

    (job,) = namespace.names("jobs", "app.kubernetes.io/component=bootstrap")
    assert namespace.finish(job, 300), namespace.logs(job)
    assert lively.release(MODE) == before
    assert lively.keys("predict") == keys
    drift = namespace.get(f"cronjob/{lively.name}-drift-{MODE}")
    assert drift["spec"]["schedule"] == "30 0 * * *"


def test_uninstalling_leaves_what_the_notes_say_and_touches_no_neighbour(
    lively: Installation, installed: Installation, kfp: Namespace
) -> None:
    namespace, neighbour = lively.namespace, installed.release(MODE)
    namespace.kubectl("delete", "jobs", "--all")  # those of the tests
    notes = lively.helm("get", "notes", lively.name)

    lively.helm("uninstall", lively.name, "--wait")

    kinds = ("serviceaccounts,secrets,configmaps,services,statefulsets,cronjobs,jobs,roles,"
             "rolebindings,networkpolicies,poddisruptionbudgets,persistentvolumeclaims,"
             "inferenceservices.serving.kserve.io,servingruntimes.serving.kserve.io")  # fmt: skip
    left = {
        each["metadata"]["name"]
        for each in namespace.get(kinds)["items"]
        if each["metadata"]["name"] not in ("default", "kube-root-ca.crt")
        and not each["metadata"].get("ownerReferences")
    }
    assert left == {f"skyclass-{MODE}", f"data-{lively.name}-minio-0"}
    assert all(name in notes for name in left)
    assert not kfp.names("secrets,configmaps", "app.kubernetes.io/part-of=skyclass")
    assert installed.release(MODE) == neighbour
    installed.namespace.kubectl(
        "wait", f"inferenceservice/skyclass-{MODE}", "--for=condition=Ready", "--timeout=10s"
    )
