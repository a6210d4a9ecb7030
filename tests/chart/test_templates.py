"""What the chart's templates make of its values, one behaviour a test; needs helm (`make lint`)."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.render import ROOT, render
from skyclass.admin.identities import Role
from skyclass.orchestration.package import DEFAULT_NAMES, SCORING, TRAINING, load_package

CHART = ROOT / "charts/skyclass"
CI = sorted(path.stem.removesuffix("-values") for path in (CHART / "ci").glob("*-values.yaml"))
MONITORING = ("-a", "monitoring.coreos.com/v1")
Objects = list[dict[str, Any]]


def ci(name: str, *arguments: str) -> Objects:
    """The chart with one of its ci files."""
    return render("-n", "here", "-f", str(CHART / f"ci/{name}-values.yaml"), *arguments)


def kinds(objects: Objects, kind: str) -> dict[str, dict[str, Any]]:
    """The objects of a kind, by name."""
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


def services(objects: Objects) -> dict[str, dict[str, Any]]:
    """The InferenceServices that promotion will make, by mode."""
    data = kinds(objects, "ConfigMap")["skyclass-inference-services"]["data"]
    return {key.removesuffix(".yaml"): yaml.safe_load(text) for key, text in data.items()}


def pod_specs(objects: Objects) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod that the chart leads to, with a name for it."""
    for each in objects:
        spec, name = each.get("spec", {}), f"{each['kind']} {each['metadata']['name']}"
        if each["kind"] == "Pod":
            yield name, spec
        elif each["kind"] == "CronJob":
            yield name, spec["jobTemplate"]["spec"]["template"]["spec"]
        elif "template" in spec:
            yield name, spec["template"]["spec"]


def test_every_value_is_commented() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    keys = [
        (number, line)
        for number, line in enumerate(lines)
        if re.match(r"\s*[a-zA-Z]+: \S", line) and not line.lstrip().startswith(("#", "-"))
    ]
    inner = re.compile(r"\s*(requests|limits|matchLabels): ")
    for number, line in keys:
        if not inner.match(line):
            assert lines[number - 1].lstrip().startswith("# "), f"values.yaml:{number + 1}: {line}"


def test_the_schema_knows_every_value_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def compare(values: dict[str, Any], schema: dict[str, Any], where: str) -> None:
        schema = schema["$defs"][schema["$ref"].split("/")[-1]] if "$ref" in schema else schema
        if "properties" not in schema:
            return
        assert schema["additionalProperties"] is False, where
        assert set(schema["properties"]) - {"global", "quantities"} >= set(values), where
        for name, value in values.items():
            if isinstance(value, dict):
                inner = schema["properties"][name]
                compare(value, _resolved(inner, root), f"{where}.{name}")

    root = schema
    compare(values, schema, "values")


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    return root["$defs"][schema["$ref"].split("/")[-1]] if "$ref" in schema else schema


@pytest.mark.parametrize(
    "typo",
    ["modes.spectroscopic.enable=true", "objectStore.mode=minio", "drift.schedule=daily",
     "images.jobs.tag=latest", "predictor.minReplicas=0"],
)  # fmt: skip
def test_a_typo_is_refused(typo: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        render("--set", typo)


@pytest.mark.parametrize("name", CI)
def test_every_pod_is_restricted(name: str) -> None:
    for where, spec in pod_specs(ci(name)):
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, where
        assert spec["automountServiceAccountToken"] in (True, False), where
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["runAsNonRoot"] is True, where
            assert security["runAsUser"] > 10_000, where
            assert security["readOnlyRootFilesystem"] is True, where
            assert security["allowPrivilegeEscalation"] is False, where
            assert security["capabilities"] == {"drop": ["ALL"]}, where
            assert set(container["resources"]) == {"requests", "limits"}, where
            assert not container["image"].endswith(":latest"), where


@pytest.mark.parametrize("name", CI)
def test_each_job_has_an_account_of_its_own_that_exists(name: str) -> None:
    objects = ci(name)
    accounts = kinds(objects, "ServiceAccount")
    jobs = {where: spec for where, spec in pod_specs(objects) if not where.startswith("Pod ")}
    for where, spec in jobs.items():
        assert spec["serviceAccountName"] in accounts, where


def test_everything_together_requests_little() -> None:
    objects = ci("default")
    total = {"cpu": 0.0, "memory": 0.0}
    asked = [
        container["resources"]["requests"]
        for where, spec in pod_specs(objects)
        if not where.startswith("Pod ")
        for container in spec["containers"]
    ]
    for service in services(objects).values():
        predictor = service["spec"]["predictor"]
        asked += [predictor["model"]["resources"]["requests"]] * predictor["maxReplicas"]
    for requests in asked:
        total["cpu"] += _number(requests["cpu"])
        total["memory"] += _number(requests["memory"])

    assert total["cpu"] <= 2
    assert total["memory"] <= 6 * 2**30


def _number(quantity: str) -> float:
    for suffix, factor in {"m": 1e-3, "Mi": 2**20, "Gi": 2**30}.items():
        if quantity.endswith(suffix):
            return float(quantity.removesuffix(suffix)) * factor
    return float(quantity)


def test_a_fullname_override_names_everything_but_what_kserve_looks_for() -> None:
    objects = render("--set", "fullnameOverride=other")

    names = {each["metadata"]["name"] for each in objects if each["kind"] != "ServingRuntime"}
    assert all(name.startswith("other") for name in names)
    assert list(kinds(objects, "ServingRuntime")) == ["skyclass"]


def test_a_digest_wins_over_a_tag() -> None:
    for where, spec in pod_specs(ci("mirror")):
        for container in spec["containers"]:
            assert re.fullmatch(
                r"mirror\.example\.org/ml/[a-z-]+@sha256:0{64}", container["image"]
            ), where
        assert spec["imagePullSecrets"] == [{"name": "mirror"}], where


def test_inference_services_are_templates_for_promotion_alone() -> None:
    objects = ci("default")

    assert not kinds(objects, "InferenceService")
    found = services(objects)
    assert set(found) == {"photometric", "spectroscopic"}
    for mode, service in found.items():
        predictor = service["spec"]["predictor"]
        assert service["metadata"]["name"] == f"skyclass-{mode}"
        annotations = service["metadata"]["annotations"]
        assert annotations["serving.kserve.io/deploymentMode"] == "Standard"
        assert annotations["serving.kserve.io/autoscalerClass"] == "none"
        assert "storageUri" not in predictor["model"]
        assert predictor["model"]["args"] == ["--mode", mode]
        assert predictor["model"]["runtime"] in kinds(objects, "ServingRuntime")
        assert predictor["deploymentStrategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_more_replicas_at_most_than_at_least_make_an_autoscaler() -> None:
    service = services(ci("available"))["photometric"]

    assert service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "hpa"
    assert service["spec"]["predictor"]["maxReplicas"] == 4
    assert service["spec"]["predictor"]["scaleTarget"] == 80


def test_a_mode_that_is_off_leaves_no_trace() -> None:
    assert "spectroscopic" not in yaml.safe_dump_all(
        each for each in ci("one-mode") if each["kind"] != "ConfigMap"
    )


def test_a_bundled_store_has_keys_for_every_role_and_its_administrator() -> None:
    secrets = kinds(ci("default"), "Secret")

    assert set(secrets) == {f"skyclass-s3-{role}" for role in [*Role, "root"]}
    assert len({each["data"]["AWS_SECRET_ACCESS_KEY"] for each in secrets.values()}) == len(secrets)


def test_an_external_store_brings_neither_secrets_nor_minio() -> None:
    objects = ci("external")

    assert not kinds(objects, "Secret")
    assert not kinds(objects, "StatefulSet")
    settings = kinds(objects, "ConfigMap")["skyclass-settings"]["data"]
    assert settings["AWS_ENDPOINT_URL"] == "https://s3.example.org"
    (rule,) = kinds(objects, "NetworkPolicy")["skyclass-to-store"]["spec"]["egress"]
    assert rule == {"ports": [{"port": 443, "protocol": "TCP"}]}


@pytest.mark.parametrize("missing", ["endpoint", "drift"])
def test_an_external_store_says_what_is_missing(missing: str) -> None:
    name = "existingSecrets.drift" if missing == "drift" else "external.endpoint"
    with pytest.raises(subprocess.CalledProcessError) as error:
        ci("external", "--set", f"objectStore.{name}=")
    assert f"objectStore.{name}" in error.value.stderr


def test_each_pod_has_the_keys_of_its_role_alone() -> None:
    wanted = {"drift": "drift", "ingest": "ingest", "bootstrap": "pipeline", "provision": "root"}
    wanted |= {"monitor": "apps", "score": "score"}
    for where, spec in pod_specs(ci("ingest")):
        (container, *_) = spec["containers"]
        if container["name"] in wanted:
            (secret,) = (each["secretRef"]["name"] for each in container["envFrom"][1:])
            assert secret == f"skyclass-s3-{wanted[container['name']]}", where


@pytest.mark.parametrize("name", CI)
def test_cron_jobs_do_not_pile_up(name: str) -> None:
    for where, job in kinds(ci(name), "CronJob").items():
        spec = job["spec"]
        assert spec["concurrencyPolicy"] == "Forbid"
        assert spec["timeZone"] == "Etc/UTC"
        assert 10 < spec["startingDeadlineSeconds"] < 86_400
        assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] <= 3_000
        assert len(where) <= 52


def test_a_job_gets_another_name_when_its_pod_changes() -> None:
    before, after = kinds(ci("default"), "Job"), kinds(render("--set", "images.jobs.tag=x"), "Job")

    assert len(before) == len(after) == 2
    assert not set(before) & set(after)


def test_kfp_may_promote_this_project_and_nothing_else() -> None:
    objects = ci("kfp")
    binding = kinds(objects, "RoleBinding")["skyclass-promote"]
    role = kinds(objects, "Role")["skyclass-promote"]

    subject = {"kind": "ServiceAccount", "name": "pipeline-runner", "namespace": "kubeflow"}
    assert subject in binding["subjects"]
    rule = next(rule for rule in role["rules"] if "inferenceservices" in rule["resources"])
    assert rule["resourceNames"] == ["skyclass-photometric", "skyclass-spectroscopic"]
    assert "*" not in json.dumps(role["rules"])


def test_kfp_runs_are_told_where_the_store_is_and_have_the_keys_of_their_roles() -> None:
    objects = ci("kfp")
    own, theirs = (
        [each for each in objects if each["metadata"]["namespace"] == namespace]
        for namespace in ("here", "kubeflow")
    )
    settings = kinds(theirs, "ConfigMap")["skyclass-settings"]["data"]
    keys = kinds(theirs, "Secret")

    packages = [load_package(pipeline) for pipeline in (TRAINING, SCORING)]
    required = set().union(*(package.required_secrets() for package in packages))
    assert set(keys) == required - {DEFAULT_NAMES.signing_secret}  # yours, if you sign
    config_maps = set().union(*(package.required_config_maps() for package in packages))
    assert config_maps == set(kinds(theirs, "ConfigMap"))
    assert all(keys[name]["data"] == kinds(own, "Secret")[name]["data"] for name in keys)
    assert settings["AWS_ENDPOINT_URL"] == "http://skyclass-minio.here.svc:9000"
    assert settings["SKYCLASS_NAMESPACE"] == "here"
    assert settings["SKYCLASS_INFERENCE_SERVICE_TEMPLATES"] in kinds(own, "ConfigMap")


def test_a_chart_that_would_cut_off_kfp_is_refused() -> None:
    with pytest.raises(subprocess.CalledProcessError) as error:
        ci("kfp", "--set", "kfp.namespace=here")
    assert "a namespace of its own" in error.value.stderr


def test_drift_trains_again_and_rolls_back_where_there_is_kfp_alone() -> None:
    for name, retrains in (("default", False), ("kfp", True)):
        objects = ci(name)
        job = kinds(objects, "CronJob")["skyclass-drift-photometric"]
        (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        assert (container["args"][-2:] == ["--retrain", "kfp"]) == retrains
        variables = {each["name"]: each.get("value") for each in container["env"]}
        wanted = "http://ml-pipeline.kubeflow:8888" if retrains else None
        assert variables.get("KF_PIPELINES_ENDPOINT") == wanted
        assert ("skyclass-to-kfp" in kinds(objects, "NetworkPolicy")) == retrains
        promoters = kinds(objects, "RoleBinding")["skyclass-promote"]["subjects"]
        assert ("skyclass-drift" in {each["name"] for each in promoters}) == retrains
    off = kinds(ci("kfp", "--set", "drift.retraining.enabled=false"), "CronJob")
    assert "--retrain" not in json.dumps(off)


def test_the_monitor_page_is_open_to_visitors_and_prometheus_alone() -> None:
    objects = ci("default")
    (container,) = kinds(objects, "Deployment")["skyclass-monitor"]["spec"]["template"]["spec"][
        "containers"
    ]
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    (rule,) = kinds(objects, "NetworkPolicy")["skyclass-monitor"]["spec"]["ingress"]
    visitor = {"podSelector": {"matchLabels": {"skyclass-visitor": "true"}}}
    assert visitor in rule["from"]
    assert len(rule["from"]) == 2
    (port,) = kinds(objects, "Service")["skyclass-monitor"]["spec"]["ports"]
    assert port["targetPort"] == "http"


def test_the_prediction_page_has_no_keys_and_no_token_and_asks_the_predictors_alone() -> None:
    objects = ci("default")
    spec = kinds(objects, "Deployment")["skyclass-predict-page"]["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert [list(each) for each in container["envFrom"]] == [["configMapRef"]]
    policies = kinds(objects, "NetworkPolicy")
    leaving = [
        name
        for name, policy in policies.items()
        if "Egress" in policy["spec"]["policyTypes"]
        and "predict-page" in json.dumps(policy["spec"]["podSelector"])
    ]
    assert leaving == ["skyclass-askers"]


def test_monitoring_is_made_where_prometheus_is() -> None:
    assert not kinds(ci("default"), "PodMonitor")
    objects = ci("default", *MONITORING)

    assert kinds(objects, "PodMonitor")
    (rule,) = kinds(objects, "PrometheusRule").values()
    alerts = [alert for group in rule["spec"]["groups"] for alert in group["rules"]]
    assert all({"alert", "expr", "labels", "annotations"} <= set(alert) for alert in alerts)
    assert len({json.dumps([a["alert"], a["labels"]]) for a in alerts}) == len(alerts)


def test_the_dashboard_is_one_that_grafana_can_draw() -> None:
    objects = ci("default")
    board = json.loads(kinds(objects, "ConfigMap")["skyclass-dashboard"]["data"]["skyclass.json"])
    panels = board["panels"]
    variables = {each["name"] for each in board["templating"]["list"]}

    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["title"] and panel["description"] and panel["fieldConfig"]["defaults"]["unit"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells
        for target in panel["targets"]:
            used = {
                *re.findall(r"\$(\w+)", target["expr"]),
                panel["datasource"]["uid"].strip("${}"),
            }
            assert used <= variables, panel["title"]


def test_what_is_off_is_not_there() -> None:
    objects = ci("bare", *MONITORING)

    for kind in (
        "CronJob",
        "Deployment",
        "NetworkPolicy",
        "PodMonitor",
        "PrometheusRule",
        "RoleBinding",
    ):
        assert not kinds(objects, kind), kind
    assert "skyclass-dashboard" not in kinds(objects, "ConfigMap")


@pytest.mark.parametrize("path", sorted((CHART / "ci").glob("*.yaml")), ids=lambda path: path.stem)
def test_no_image_of_minio_is_pulled_from_its_publisher(path: Path) -> None:
    assert not re.search(
        r"(docker\.io|quay\.io)/minio/", yaml.safe_dump_all(render("-f", str(path)))
    )


def test_signed_releases_are_signed_and_verified() -> None:
    objects = ci("signed")
    container = kinds(objects, "ServingRuntime")["skyclass"]["spec"]["containers"][0]
    verifies = {each["name"]: each["value"] for each in container["env"]}
    assert verifies == {"SKYCLASS_SERVING_PUBLIC_KEY": "/etc/skyclass/public.pem"}
    assert "PUBLIC KEY" in kinds(objects, "ConfigMap")["skyclass-public-key"]["data"]["public.pem"]
    (job,) = (each for name, each in kinds(objects, "Job").items() if "bootstrap" in name)
    signs = {
        each["name"]: each.get("value")
        for each in job["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    assert signs["SKYCLASS_SIGNING_KEY"] == "/etc/skyclass/private.pem"

    with pytest.raises(subprocess.CalledProcessError) as error:
        ci("signed", "--set", "signing.existingSecret=")
    assert "would not be served" in error.value.stderr
