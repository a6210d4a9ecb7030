"""A fresh installation in a namespace that enforces Pod Security `restricted`."""

import json
import os
from pathlib import Path

import pytest
import yaml

from charts.render import MANIFESTS, OVERLAYS
from tests.support.cluster.chart import CHART, MODES, OBJECTS, Installation, values_of
from tests.support.cluster.kube import Namespace, run
from tests.support.grpc_calls import connected, infer

CLIENT = {"skyclass-client": "true"}
ASK = """
import json, sys, urllib.request
url, body = sys.argv[1], sys.argv[2].encode()
request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
print(urllib.request.urlopen(request, timeout=10).read().decode())
"""


@pytest.mark.parametrize("mode", MODES)
def test_v1_and_v2_answer_through_the_service(installed: Installation, mode: str) -> None:
    shell = installed.shell(f"caller-{mode}", CLIENT)
    address = f"http://skyclass-{mode}-predictor"
    rows = OBJECTS[mode]

    v1 = json.loads(
        shell.python(
            ASK, f"{address}/v1/models/skyclass-{mode}:predict", json.dumps({"instances": rows})
        )
    )
    tensor = {"name": "objects", "datatype": "FP64", "shape": [len(rows), len(rows[0])]}
    tensor["data"] = [value for row in rows for value in row]
    v2 = json.loads(
        shell.python(
            ASK, f"{address}/v2/models/skyclass-{mode}/infer", json.dumps({"inputs": [tensor]})
        )
    )

    assert v1["model_version"] == v2["model_version"] == installed.release(mode)
    classes = next(output["data"] for output in v2["outputs"] if output["name"] == "class")
    assert [prediction["class"] for prediction in v1["predictions"]] == classes


@pytest.mark.parametrize("mode", MODES)
def test_grpc_answers_through_the_service(installed: Installation, mode: str) -> None:
    rows = OBJECTS[mode]
    tensor = {"name": "objects", "datatype": "FP64", "shape": [len(rows), len(rows[0])]}
    tensor["contents"] = {"fp64_contents": [value for row in rows for value in row]}
    with (
        installed.namespace.forwarded(f"service/skyclass-{mode}-predictor", 8081) as address,
        connected(address.removeprefix("http://")) as stub,
    ):
        answer = infer(stub, f"skyclass-{mode}", inputs=[tensor])
    assert answer.model_version == installed.release(mode)
    assert answer.outputs[0].shape == [len(rows)]


def test_helm_test_passes(installed: Installation) -> None:
    assert "Phase:          Succeeded" in installed.helm("test", installed.name)


@pytest.mark.parametrize("values", sorted(path.name for path in (CHART / "ci").glob("*.yaml")))
def test_server_accepts_every_object_without_a_warning(
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
    for template in templates:  # as promotion will apply it
        template["metadata"]["name"] = f"dry-{template['metadata']['name']}"
        template["metadata"]["namespace"] = namespace
        template["spec"]["predictor"]["model"]["storageUri"] = "s3://models/releases/x/"
    for each in objects:
        if each["kind"] == "ServingRuntime":
            each["metadata"]["name"] = "dry"

    given = yaml.safe_dump_all([*objects, *templates])
    said = run("kubectl", "apply", "--dry-run=server", "-f", "-", given=given)

    assert "Warning" not in said


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_kustomize_overlay_is_applied_without_a_warning(overlay: str, tmp_path: Path) -> None:
    with Namespace.fresh(overlay) as namespace:
        folder = MANIFESTS / "overlays" / overlay
        elsewhere = {"resources": [os.path.relpath(folder, tmp_path)], "namespace": namespace.name}
        (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(elsewhere))

        said = run("kubectl", "apply", "-k", str(tmp_path))
        jobs = namespace.names("jobs", "app.kubernetes.io/component=provision")

        assert "Warning" not in said
        for binding in namespace.get("rolebindings")["items"]:
            assert {each["namespace"] for each in binding["subjects"]} == {namespace.name}
        assert bool(jobs) == (overlay == "trial")
        for job in jobs:  # its own store comes up, with the keys that the overlay names
            assert namespace.finish(job), namespace.logs(job)


def test_no_token_is_mounted_but_where_the_api_is_asked(installed: Installation) -> None:
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


def test_values_with_a_typo_are_refused(installed: Installation) -> None:
    with pytest.raises(AssertionError, match="bootstarp"):
        run("helm", "template", str(CHART), *values_of({"bootstarp__enabled": True}))
