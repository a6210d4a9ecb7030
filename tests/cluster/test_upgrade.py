"""Upgrade and removal. The last test removes `scaled`, so no file after this one may use it."""

import json
from pathlib import Path

import pytest

from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import Namespace
from tests.support.keys import make_key_pair

MODE = "photometric"


def test_no_pod_has_exceeded_its_memory_limit(scaled: Installation) -> None:
    for pod in scaled.namespace.get("pods")["items"]:
        assert "OOMKilled" not in json.dumps(pod["status"]), pod["metadata"]["name"]


def test_an_upgrade_keeps_the_served_release_and_the_keys(scaled: Installation) -> None:
    namespace, before = scaled.namespace, scaled.get_release(MODE)
    keys = scaled.read_keys("predict")
    scaled.install(
        predictor__minReplicas=1,
        predictor__maxReplicas=1,
        drift__schedule="30 0 * * *",
        bootstrap__parameters={"candidates": "random_forest"},
    )

    (job,) = namespace.list_names("jobs", "app.kubernetes.io/component=bootstrap")
    assert namespace.wait_for_job(job, 300), namespace.read_logs(job)
    assert scaled.get_release(MODE) == before
    assert scaled.read_keys("predict") == keys
    drift = namespace.get(f"cronjob/{scaled.name}-drift-{MODE}")
    assert drift["spec"]["schedule"] == "30 0 * * *"


def test_an_upgrade_to_another_engine_that_would_leave_the_data_behind_is_rejected(
    scaled: Installation,
) -> None:
    other = "minio" if scaled.engine == "seaweedfs" else "seaweedfs"
    with pytest.raises(AssertionError) as error:
        scaled.install(objectStore__bundled__engine=other)

    claim = f"data-{scaled.store}-0"
    assert f"the data of this installation are in the claim {claim}" in str(error.value)


def test_requiring_signatures_restarts_no_pod_and_rejects_only_promotions(
    scaled: Installation, tmp_path: Path
) -> None:
    namespace, before = scaled.namespace, scaled.get_release(MODE)
    predictors = f"serving.kserve.io/inferenceservice=skyclass-{MODE}"
    pods = namespace.list_names("pods", predictors)
    key = make_key_pair(tmp_path / "keys").public.read_text()
    scaled.install(signing__publicKey=key, bootstrap__enabled=False)

    job = namespace.start_cron_job(f"{scaled.name}-drift-{MODE}", "promote", before)
    assert not namespace.wait_for_job(job, 600)
    assert "is not signed, and a public key is configured" in namespace.read_logs(job)
    assert scaled.get_release(MODE) == before
    assert pods <= namespace.list_names("pods", predictors)


def test_removal_keeps_what_the_notes_list_and_does_not_affect_other_installations(
    scaled: Installation, installed: Installation, kfp: Namespace
) -> None:
    namespace, served_elsewhere = scaled.namespace, installed.get_release(MODE)
    namespace.kubectl("delete", "jobs", "--all")  # of the tests
    notes = scaled.helm("get", "notes", scaled.name)

    scaled.helm("uninstall", scaled.name, "--wait")

    kinds = ("serviceaccounts,secrets,configmaps,services,statefulsets,cronjobs,jobs,roles,"
             "rolebindings,networkpolicies,poddisruptionbudgets,persistentvolumeclaims,"
             "inferenceservices.serving.kserve.io,servingruntimes.serving.kserve.io")  # fmt: skip
    kept = {
        each["metadata"]["name"]
        for each in namespace.get(kinds)["items"]
        if each["metadata"]["name"] not in ("default", "kube-root-ca.crt")
        and not each["metadata"].get("ownerReferences")
    }
    assert kept == {f"skyclass-{MODE}", f"data-{scaled.store}-0"}
    assert all(name in notes for name in kept)
    assert not kfp.list_names("secrets,configmaps", "app.kubernetes.io/part-of=skyclass")
    assert installed.get_release(MODE) == served_elsewhere
    installed.namespace.kubectl(
        "wait", f"inferenceservice/skyclass-{MODE}", "--for=condition=Ready", "--timeout=10s"
    )
