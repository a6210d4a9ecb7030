"""Building the InferenceService of a release, and reading its status and its pods.

`tests/cluster/test_promotion.py` runs promotions on a real cluster.
"""

import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from skyclass.errors import ClusterError
from skyclass.promotion.champions import open_champion_store
from skyclass.promotion.inference_service import (
    EXPECTED_RELEASE,
    RELEASE,
    REVISION,
    RUN,
    SOURCE,
    TRAINING_SET,
    InferenceService,
    make_inference_service,
)
from skyclass.promotion.local import LocalChampionStore
from skyclass.promotion.pods import Pod, is_rolled_out
from skyclass.registry.releases import Release
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.releases import draft

MODE = Mode.PHOTOMETRIC
FIRST, SECOND = (Release(digit * 64, draft(MODE, run_id=f"run-{digit}")) for digit in "ab")
TEMPLATE = yaml.safe_dump(
    {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": "skyclass-photometric",
            "namespace": "the-charts",
            "annotations": {"serving.kserve.io/deploymentMode": "Standard"},
        },
        "spec": {
            "predictor": {
                "minReplicas": 2,
                "model": {
                    "runtime": "skyclass",
                    "env": [{"name": "OMP_NUM_THREADS", "value": "1"}],
                },
            }
        },
    }
)


def made(release: Release = FIRST, template: str = TEMPLATE) -> Any:
    return make_inference_service(template, release, "models", "the template")


def served(release: Release = FIRST, **status: Any) -> InferenceService:
    """What the API server has after a promotion."""
    manifest = made(release)
    manifest["metadata"].update(uid="1", resourceVersion="7", generation=3)
    return InferenceService({**manifest, "status": status})


def pod(service: InferenceService, *containers: dict[str, Any], ready: bool = True) -> Pod:
    """A pod that KServe started for an InferenceService."""
    annotations = {SOURCE: service.storage_uri, REVISION: service.annotations[REVISION]}
    return Pod(
        {
            "metadata": {"name": "p", "annotations": annotations},
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": str(ready)}],
                "containerStatuses": [{"name": "kserve-container", **each} for each in containers],
            },
        }
    )


def test_single_machine_does_not_import_the_kubernetes_client(
    settings: Settings, store: ObjectStore
) -> None:
    assert isinstance(open_champion_store(settings), LocalChampionStore)
    code = (
        "import sys; from skyclass.settings import Settings; "
        "from skyclass.promotion.champions import open_champion_store as open_store; "
        "open_store(Settings()); "
        "assert 'kubernetes' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_missing_cluster_configuration_is_reported(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(
        ClusterError, match=r"SKYCLASS_NAMESPACE is sky, .* set KUBECONFIG"
    ) as error:
        open_champion_store(settings.model_copy(update={"namespace": "sky"}))
    assert "\n" not in str(error.value)


def test_promotion_adds_the_release_to_the_template() -> None:
    manifest = made()
    model = manifest["spec"]["predictor"]["model"]
    assert model["storageUri"] == f"s3://models/releases/photometric/{'a' * 64}/"
    assert {each["name"]: each["value"] for each in model["env"]} == {
        "OMP_NUM_THREADS": "1",
        EXPECTED_RELEASE: FIRST.id,
    }
    annotations = manifest["metadata"]["annotations"]
    assert annotations.pop(REVISION)
    assert annotations == {
        "serving.kserve.io/deploymentMode": "Standard",
        RELEASE: FIRST.id,
        RUN: "run-a",
        TRAINING_SET: "s3://skyclass-data/observations@1",
    }
    assert "namespace" not in manifest["metadata"]
    assert manifest["spec"]["predictor"]["minReplicas"] == 2


def test_revision_depends_on_template_and_release_only() -> None:
    other_template = TEMPLATE.replace("minReplicas: 2", "minReplicas: 3")
    revisions = [
        manifest["metadata"]["annotations"][REVISION]
        for manifest in (made(), made(), made(SECOND), made(template=other_template))
    ]
    assert revisions[0] == revisions[1]
    assert len(set(revisions)) == 3


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("InferenceService", "Deployment", "is Deployment skyclass-photometric, expected"),
        ("skyclass-photometric", "skyclass", "is InferenceService skyclass, expected"),
        ("model:", "mode:", r"the template is not an InferenceService \('model'\)"),
        ("runtime: skyclass", "storageUri: s3://a/b", "sets storageUri"),
        ("kind:", "kind: [", "the template is not an InferenceService"),
        (TEMPLATE, "", "the template is not an InferenceService"),
    ],
)
def test_template_of_another_object_is_rejected(good: str, bad: str, message: str) -> None:
    assert good in TEMPLATE
    with pytest.raises(ClusterError, match=message) as error:
        made(template=TEMPLATE.replace(good, bad))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("uri", "release"),
    [
        (f"s3://models/releases/photometric/{'a' * 64}/", "a" * 64),
        (f"s3://models/releases/spectroscopic/{'a' * 64}/", None),
        (f"s3://others/releases/photometric/{'a' * 64}/", None),
        ("s3://models/releases/photometric/latest/", None),
        ("", None),
    ],
)
def test_release_id_is_read_from_the_storage_uri(uri: str, release: str | None) -> None:
    service = served()
    service.body["spec"]["predictor"]["model"]["storageUri"] = uri
    assert service.release_id(MODE, "models") == release


def test_applicable_object_restores_every_field() -> None:
    service = served(conditions=[])
    service.annotations["kubectl.kubernetes.io/last-applied-configuration"] = "{}"
    kept = service.to_applicable()
    assert kept["spec"] == service.body["spec"]
    assert kept["metadata"] == {
        "name": service.name,
        "labels": {},
        "annotations": made()["metadata"]["annotations"],
    }


def test_status_is_described_on_one_line() -> None:
    failing = served(
        conditions=[
            {"type": "IngressReady", "status": "True"},
            {"type": "Ready", "status": "False", "message": "no\nreplica"},
        ],
        modelStatus={
            "states": {"activeModelState": "", "targetModelState": "FailedToLoad"},
            "transitionStatus": "BlockedByFailedLoad",
            "lastFailureInfo": {"message": "no such\nkey"},
        },
    )
    assert failing.describe() == (
        "Ready is False (no replica), targetModelState is FailedToLoad, "
        "transition is BlockedByFailedLoad, no such key"
    )
    assert not failing.is_ready
    assert served().describe() == "no status yet"


def test_rollout_is_complete_when_no_other_pod_is_active() -> None:
    service, before = served(SECOND), served(FIRST)
    leaving = deepcopy(pod(before))
    leaving.body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    evicted = pod(before, ready=False)
    evicted.body["status"]["phase"] = "Failed"
    assert is_rolled_out([pod(service), leaving, evicted], service)
    assert not is_rolled_out([], service)
    assert not is_rolled_out([leaving], service)
    assert not is_rolled_out([pod(service), pod(before)], service)
    assert not is_rolled_out([pod(service), pod(service, ready=False)], service)


def test_pods_do_not_belong_to_a_storage_uri_changed_by_hand() -> None:
    service = served()
    pods = [pod(service)]
    service.body["spec"]["predictor"]["model"]["storageUri"] = served(SECOND).storage_uri
    assert not is_rolled_out(pods, service)


ENDED = {"terminated": {"exitCode": 1, "message": "Traceback\n  line\nerror: it is\tdamaged\n\n"}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
PULLING = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}


@pytest.mark.parametrize(
    ("container", "failures", "reason"),
    [
        ({"state": {"running": {}}, "restartCount": 0}, 0, "started, not ready yet"),
        ({"state": ENDED, "restartCount": 0}, 1, "kserve-container ended with status 1: error: it"),
        ({"state": {"running": {}}, "lastState": ENDED, "restartCount": 1}, 1, "error: it is dam"),
        ({"state": BACK_OFF, "lastState": ENDED, "restartCount": 1}, 2, "error: it is damaged"),
        ({"state": PULLING, "restartCount": 0}, 0, "ErrImagePull: no such image"),
    ],
)
def test_reason_of_a_pod_that_is_not_ready(
    container: dict[str, Any], failures: int, reason: str
) -> None:
    failing = pod(served(), container, ready=False)
    assert failing.failures == failures
    assert reason in failing.reason
    assert "\n" not in failing.reason


def test_reason_of_a_pod_without_a_node() -> None:
    waiting = pod(served(), ready=False)
    waiting.body["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient cpu."}
    ]
    assert waiting.reason == "0/1 nodes: Insufficient cpu."
