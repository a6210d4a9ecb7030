"""A new installation in a namespace that enforces Pod Security `restricted`."""

import json
import os
from pathlib import Path

import pytest
import yaml

from charts.render import MANIFESTS, OVERLAYS
from tests.support.cluster.chart import CHART, MODES, OBJECTS, Installation, make_arguments
from tests.support.cluster.kube import Namespace, run
from tests.support.grpc_calls import connected, infer

CLIENT = {"skyclass-client": "true"}
SEND_REQUEST = """
import json, sys, urllib.request
url, body = sys.argv[1], sys.argv[2].encode()
request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
print(urllib.request.urlopen(request, timeout=10).read().decode())
"""


@pytest.mark.parametrize("mode", MODES)
def test_v1_and_v2_agree(installed: Installation, mode: str) -> None:
    shell = installed.start_shell(f"caller-{mode}", CLIENT)
    address = f"http://skyclass-{mode}-predictor"
    rows = OBJECTS[mode]

    v1 = json.loads(
        shell.run_python(
            SEND_REQUEST,
            f"{address}/v1/models/skyclass-{mode}:predict",
            json.dumps({"instances": rows}),
        )
    )
    tensor = {"name": "objects", "datatype": "FP64", "shape": [len(rows), len(rows[0])]}
    tensor["data"] = [value for row in rows for value in row]
    v2 = json.loads(
        shell.run_python(
            SEND_REQUEST,
            f"{address}/v2/models/skyclass-{mode}/infer",
            json.dumps({"inputs": [tensor]}),
        )
    )

    assert v1["model_version"] == v2["model_version"] == installed.get_release(mode)
    classes = next(output["data"] for output in v2["outputs"] if output["name"] == "class")
    assert [prediction["class"] for prediction in v1["predictions"]] == classes


@pytest.mark.parametrize("mode", MODES)
def test_grpc_returns_predictions_of_the_served_release(installed: Installation, mode: str) -> None:
    rows = OBJECTS[mode]
    tensor = {"name": "objects", "datatype": "FP64", "shape": [len(rows), len(rows[0])]}
    tensor["contents"] = {"fp64_contents": [value for row in rows for value in row]}
    with (
        installed.namespace.forward(f"service/skyclass-{mode}-predictor", 8081) as address,
        connected(address.removeprefix("http://")) as stub,
    ):
        response = infer(stub, f"skyclass-{mode}", inputs=[tensor])
    assert response.model_version == installed.get_release(mode)
    assert response.outputs[0].shape == [len(rows)]


def test_helm_test_passes(installed: Installation) -> None:
    assert "Phase:          Succeeded" in installed.helm("test", installed.name)


@pytest.mark.parametrize("values", sorted(path.name for path in (CHART / "ci").glob("*.yaml")))
def test_the_api_server_accepts_every_object_without_a_warning(
    installed: Installation, kfp: Namespace, values: str
) -> None:
    namespace = installed.namespace.name
    rendered = run(
        "helm", "template", "dry", str(CHART), "-n", namespace, "-f", str(CHART / "ci" / values),
        "--kube-version", "1.34", "--set", f"fullnameOverride=dry,kfp.namespace={kfp.name}",
    )  # fmt: skip
    objects = [each for each in yaml.safe_load_all(rendered) if each]
    templates = [
        yaml.safe_load(text)
        for each in objects
        if each["metadata"]["name"].endswith("-inference-services")
        for text in each["data"].values()
    ]
    assert templates
    for template in templates:  # completed as promotion does
        template["metadata"]["name"] = f"dry-{template['metadata']['name']}"
        template["metadata"]["namespace"] = namespace
        template["spec"]["predictor"]["model"]["storageUri"] = "s3://models/releases/x/"
    for each in objects:
        if each["kind"] == "ServingRuntime":
            each["metadata"]["name"] = "dry"

    manifests = yaml.safe_dump_all([*objects, *templates])
    output = run("kubectl", "apply", "--dry-run=server", "-f", "-", stdin=manifests)

    assert "Warning" not in output


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_kustomize_overlay_is_applied_without_a_warning(overlay: str, tmp_path: Path) -> None:
    with Namespace.create(overlay) as namespace:
        folder = MANIFESTS / "overlays" / overlay
        kustomization = {
            "resources": [os.path.relpath(folder, tmp_path)],
            "namespace": namespace.name,
        }
        (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))

        output = run("kubectl", "apply", "-k", str(tmp_path))
        jobs = namespace.list_names("jobs", "app.kubernetes.io/component=provision")

        assert "Warning" not in output
        for binding in namespace.get("rolebindings")["items"]:
            assert {each["namespace"] for each in binding["subjects"]} == {namespace.name}
        assert bool(jobs) == (overlay == "trial")
        for job in jobs:  # the bundled store accepts the keys of the overlay
            assert namespace.wait_for_job(job), namespace.read_logs(job)


def test_only_pods_that_use_the_kubernetes_api_mount_a_token(installed: Installation) -> None:
    for pod in installed.namespace.get("pods")["items"]:
        component = pod["metadata"].get("labels", {}).get("app.kubernetes.io/component")
        mounted = [
            mount["mountPath"]
            for container in pod["spec"]["containers"]
            for mount in container.get("volumeMounts", [])
        ]
        has_token = "/var/run/secrets/kubernetes.io/serviceaccount" in mounted
        assert has_token == (component in ("bootstrap", "drift", "monitor")), pod["metadata"][
            "name"
        ]


def test_helm_rejects_misspelled_values(installed: Installation) -> None:
    with pytest.raises(AssertionError, match="bootstarp"):
        run("helm", "template", str(CHART), *make_arguments({"bootstarp__enabled": True}))
