"""What a promotion writes into an InferenceService, and what it reads from it and its pods.

`tests/cluster/test_promotion.py` does all of it on a real cluster.
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
    make_manifest,
)
from skyclass.promotion.local import LocalChampionStore
from skyclass.promotion.pods import Pod, settled
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
    return make_manifest(template, release, "models", "the template")


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


def test_one_machine_has_the_registry_and_needs_no_kubernetes(
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


def test_without_a_way_to_the_cluster_it_says_so(
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


def test_a_promotion_adds_to_the_template_what_belongs_to_the_release() -> None:
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


def test_a_revision_stands_for_template_and_release_and_nothing_else() -> None:
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
        ("InferenceService", "Deployment", "is Deployment skyclass-photometric, not"),
        ("skyclass-photometric", "skyclass", "is InferenceService skyclass, not"),
        ("model:", "mode:", r"the template is no InferenceService \('model'\)"),
        ("runtime: skyclass", "storageUri: s3://a/b", "has a storageUri"),
        ("kind:", "kind: [", "the template is no InferenceService"),
        (TEMPLATE, "", "the template is no InferenceService"),
    ],
)
def test_a_template_of_something_else_is_refused(good: str, bad: str, message: str) -> None:
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
def test_an_inference_service_serves_a_release_of_ours_or_none(
    uri: str, release: str | None
) -> None:
    service = served()
    service.manifest["spec"]["predictor"]["model"]["storageUri"] = uri
    assert service.release_id(MODE, "models") == release


def test_what_restores_an_inference_service_is_all_that_was_said_of_it() -> None:
    service = served(conditions=[])
    service.annotations["kubectl.kubernetes.io/last-applied-configuration"] = "{}"
    kept = service.applied()
    assert kept["spec"] == service.manifest["spec"]
    assert kept["metadata"] == {
        "name": service.name,
        "labels": {},
        "annotations": made()["metadata"]["annotations"],
    }


def test_what_kserve_says_becomes_one_line() -> None:
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
    assert failing.words() == (
        "Ready is False (no replica), targetModelState is FailedToLoad, "
        "transition is BlockedByFailedLoad, no such key"
    )
    assert not failing.is_ready
    assert served().words() == "KServe has not looked at it yet"


def test_a_release_is_served_when_no_other_pod_answers() -> None:
    service, before = served(SECOND), served(FIRST)
    leaving = deepcopy(pod(before))
    leaving.manifest["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    evicted = pod(before, ready=False)
    evicted.manifest["status"]["phase"] = "Failed"
    assert settled([pod(service), leaving, evicted], service)
    assert not settled([], service)
    assert not settled([leaving], service)
    assert not settled([pod(service), pod(before)], service)
    assert not settled([pod(service), pod(service, ready=False)], service)


def test_a_storage_uri_changed_by_hand_is_not_what_the_pods_serve() -> None:
    service = served()
    pods = [pod(service)]
    service.manifest["spec"]["predictor"]["model"]["storageUri"] = served(SECOND).storage_uri
    assert not settled(pods, service)


ENDED = {"terminated": {"exitCode": 1, "message": "Traceback\n  line\nerror: it is\tdamaged\n\n"}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
PULLING = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}


@pytest.mark.parametrize(
    ("container", "failures", "complaint"),
    [
        ({"state": {"running": {}}, "restartCount": 0}, 0, "it has started and is not ready yet"),
        ({"state": ENDED, "restartCount": 0}, 1, "kserve-container ended with status 1: error: it"),
        ({"state": {"running": {}}, "lastState": ENDED, "restartCount": 1}, 1, "error: it is dam"),
        ({"state": BACK_OFF, "lastState": ENDED, "restartCount": 1}, 2, "error: it is damaged"),
        ({"state": PULLING, "restartCount": 0}, 0, "ErrImagePull: no such image"),
    ],
)
def test_a_pod_says_why_it_is_not_ready(
    container: dict[str, Any], failures: int, complaint: str
) -> None:
    failing = pod(served(), container, ready=False)
    assert failing.failures == failures
    assert complaint in failing.complaint
    assert "\n" not in failing.complaint


def test_a_pod_without_a_node_says_so() -> None:
    waiting = pod(served(), ready=False)
    waiting.manifest["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient cpu."}
    ]
    assert waiting.complaint == "0/1 nodes: Insufficient cpu."
