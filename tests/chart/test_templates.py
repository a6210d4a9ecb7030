"""The rendered chart: one behaviour per test. Needs helm (`make lint-chart`)."""

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.readme import CHART, read_descriptions
from charts.render import MANIFESTS, render, run_helm_template
from skyclass.admin.identities import Role, make_policy
from skyclass.notifications.event import Kind
from skyclass.settings import Settings

CI = sorted(path.stem.removesuffix("-values") for path in (CHART / "ci").glob("*-values.yaml"))
MONITORING = ("-a", "monitoring.coreos.com/v1")
Objects = list[dict[str, Any]]


def render_ci(name: str, *arguments: str) -> Objects:
    """Render the chart with one of its ci files."""
    return render("-n", "here", "-f", str(CHART / f"ci/{name}-values.yaml"), *arguments)


def select(objects: Objects, kind: str) -> dict[str, dict[str, Any]]:
    """Return the objects of a kind by name."""
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


def parse_inference_services(objects: Objects) -> dict[str, dict[str, Any]]:
    """Return the templates of the InferenceServices by mode."""
    data = select(objects, "ConfigMap")["skyclass-inference-services"]["data"]
    return {key.removesuffix(".yaml"): yaml.safe_load(text) for key, text in data.items()}


def iterate_pods(objects: Objects) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the pod templates (metadata and spec) of all objects, with a name for messages."""
    for each in objects:
        spec, name = each.get("spec", {}), f"{each['kind']} {each['metadata']['name']}"
        if each["kind"] == "Pod":
            yield name, each
        elif each["kind"] == "CronJob":
            yield name, spec["jobTemplate"]["spec"]["template"]
        elif "template" in spec:
            yield name, spec["template"]


def get_container(pod: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod["spec"]["containers"]
    return dict(container)


def iterate_values(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the paths of all values that are not sections."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from iterate_values(value, (*path, key))
        else:
            yield (*path, key)


def test_every_value_has_a_description() -> None:
    text = (CHART / "values.yaml").read_text()
    described = set(read_descriptions(text))
    for path in iterate_values(yaml.safe_load(text)):
        prefixes = {".".join(path[: length + 1]) for length in range(len(path))}
        assert prefixes & described, ".".join(path)


def test_schema_declares_every_value_and_rejects_others() -> None:
    root = json.loads((CHART / "values.schema.json").read_text())

    def compare(values: dict[str, Any], schema: dict[str, Any], where: str) -> None:
        if "$ref" in schema:
            schema = root["$defs"][schema["$ref"].split("/")[-1]]
        if "properties" not in schema:
            return
        assert schema["additionalProperties"] is False, where
        assert set(schema["properties"]) >= set(values), where
        for name, value in values.items():
            if isinstance(value, dict):
                compare(value, schema["properties"][name], f"{where}.{name}")

    compare(yaml.safe_load((CHART / "values.yaml").read_text()), root, "values")


@pytest.mark.parametrize(
    "setting",
    ["modes.spectroscopic.enable=true", "objectStore.mode=minio", "drift.schedule=daily",
     "images.jobs.tag=latest", "predictor.minReplicas=0", "objectStore.existingSecrets.drfit=x",
     "imagePullSecrets[0].nam=x", "maintain.retention.logDays=15", "expectations.eras.oldest=1",
     "expectations.eras.older=90", "expectations.classes.STAR=0.1"],
)  # fmt: skip
def test_rejects_invalid_values(setting: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        render("--set", setting)


@pytest.mark.parametrize("name", CI)
def test_every_pod_satisfies_pod_security_restricted(name: str) -> None:
    for where, pod in iterate_pods(render_ci(name)):
        spec = pod["spec"]
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
def test_every_workload_has_an_existing_service_account(name: str) -> None:
    objects = render_ci(name)
    accounts = select(objects, "ServiceAccount")
    for where, pod in iterate_pods(objects):
        if not where.startswith("Pod "):
            assert pod["spec"]["serviceAccountName"] in accounts, where


def sum_default_requests() -> tuple[float, float]:
    """Return what all pods of a default installation request together: CPUs and GiB of memory."""
    objects = render_ci("default")
    requests = [
        container["resources"]["requests"]
        for where, pod in iterate_pods(objects)
        if not where.startswith("Pod ")
        for container in pod["spec"]["containers"]
    ]
    for service in parse_inference_services(objects).values():
        predictor = service["spec"]["predictor"]
        requests += [predictor["model"]["resources"]["requests"]] * predictor["maxReplicas"]
    cpu, memory = (
        sum(parse_quantity(each[name]) for each in requests) for name in ("cpu", "memory")
    )
    return cpu, memory / 2**30


def test_default_requests_are_at_most_2_cpu_and_6_gib() -> None:
    cpu, memory = sum_default_requests()
    assert cpu <= 2
    assert memory <= 6


@pytest.mark.parametrize("page", ["README.md", "docs/kubernetes.md"])
def test_the_documentation_states_the_default_requests(page: str) -> None:
    cpu, memory = sum_default_requests()
    assert f"{cpu:.2f} CPU and {memory:.1f} GiB" in (CHART.parents[1] / page).read_text()


def parse_quantity(quantity: str) -> float:
    for suffix, factor in {"m": 1e-3, "Mi": 2**20, "Gi": 2**30}.items():
        if quantity.endswith(suffix):
            return float(quantity.removesuffix(suffix)) * factor
    return float(quantity)


def test_fullname_override_replaces_the_prefix_of_all_names_except_the_serving_runtime() -> None:
    objects = render("--set", "fullnameOverride=other")

    names = {each["metadata"]["name"] for each in objects if each["kind"] != "ServingRuntime"}
    assert all(name.startswith("other") for name in names)
    assert list(select(objects, "ServingRuntime")) == ["skyclass"]


def test_every_object_has_the_recommended_labels() -> None:
    recommended = {"name", "instance", "version", "part-of", "managed-by"}
    for each in render_ci("kfp", *MONITORING):
        labels = each["metadata"]["labels"]
        assert {f"app.kubernetes.io/{label}" for label in recommended} <= set(labels), each


def test_a_digest_takes_precedence_over_a_tag() -> None:
    for where, pod in iterate_pods(render_ci("mirror")):
        image = get_container(pod)["image"]
        assert re.fullmatch(r"mirror\.example\.org/ml/[a-z-]+@sha256:0{64}", image), where


@pytest.mark.parametrize("setting", ["imagePullSecrets={x}", "imagePullSecrets[0].name=x"])
def test_image_pull_secrets_are_names_or_references(setting: str) -> None:
    objects = render("--set", setting)
    pods = [pod["spec"] for _, pod in iterate_pods(objects)]
    for spec in [*pods, select(objects, "ServingRuntime")["skyclass"]["spec"]]:
        assert spec["imagePullSecrets"] == [{"name": "x"}]


def test_scheduling_and_annotations_apply_to_every_pod() -> None:
    objects = render_ci("scheduling")
    values = yaml.safe_load((CHART / "ci/scheduling-values.yaml").read_text())
    annotations = values.pop("podAnnotations").items()
    predictors = {
        name: {"metadata": service["spec"]["predictor"], "spec": service["spec"]["predictor"]}
        for name, service in parse_inference_services(objects).items()
    }
    for where, pod in {**dict(iterate_pods(objects)), **predictors}.items():
        assert {key: pod["spec"][key] for key in values} == values, where
        if not where.startswith("Pod "):
            assert annotations <= pod["metadata"]["annotations"].items(), where


def test_inference_services_are_only_templates_for_promotion() -> None:
    objects = render_ci("default")

    assert not select(objects, "InferenceService")
    services = parse_inference_services(objects)
    assert set(services) == {"photometric", "spectroscopic"}
    for mode, service in services.items():
        predictor = service["spec"]["predictor"]
        assert service["metadata"]["name"] == f"skyclass-{mode}"
        annotations = service["metadata"]["annotations"]
        assert annotations["serving.kserve.io/deploymentMode"] == "Standard"
        assert annotations["serving.kserve.io/autoscalerClass"] == "none"
        assert "storageUri" not in predictor["model"]
        assert predictor["model"]["args"] == ["--mode", mode]
        assert predictor["model"]["runtime"] in select(objects, "ServingRuntime")
        assert predictor["deploymentStrategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_more_maximum_than_minimum_replicas_enable_the_autoscaler() -> None:
    service = parse_inference_services(render_ci("available"))["photometric"]

    assert service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "hpa"
    assert service["spec"]["predictor"]["maxReplicas"] == 4
    assert service["spec"]["predictor"]["scaleTarget"] == 80


def test_a_disabled_mode_appears_in_no_object() -> None:
    assert "spectroscopic" not in yaml.safe_dump_all(
        each for each in render_ci("one-mode") if each["kind"] != "ConfigMap"
    )


def test_the_bundled_store_has_a_secret_for_every_identity() -> None:
    secrets = select(render_ci("default"), "Secret")

    assert set(secrets) == {f"skyclass-s3-{identity}" for identity in [*Role, "root"]}
    assert len({each["data"]["AWS_SECRET_ACCESS_KEY"] for each in secrets.values()}) == len(secrets)


def test_renderings_with_existing_keys_are_equal_and_with_generated_ones_are_not() -> None:
    def render_twice(name: str) -> list[str]:
        file = str(CHART / f"ci/{name}-values.yaml")
        return [run_helm_template.__wrapped__("-f", file) for _ in range(2)]

    first, second = render_twice("own-keys")
    assert first == second
    assert "kind: Secret" not in first
    first, second = render_twice("default")
    assert first != second


def test_the_provision_job_gets_the_keys_of_every_identity() -> None:
    (pod,) = (pod for where, pod in iterate_pods(render_ci("default")) if "provision" in where)
    (volume,) = (each for each in pod["spec"]["volumes"] if "projected" in each)
    secrets = {each["secret"]["name"] for each in volume["projected"]["sources"]}

    assert secrets == {f"skyclass-s3-{identity}" for identity in Role}


def test_seaweedfs_gets_the_keys_and_the_policy_of_every_identity() -> None:
    objects = render_ci("seaweedfs")
    stateful_set = select(objects, "StatefulSet")["skyclass-seaweedfs"]
    variables = {
        each["name"]: each["valueFrom"]["secretKeyRef"]["name"]
        for each in get_container(stateful_set["spec"]["template"])["env"]
        if "valueFrom" in each
    }
    identities = json.loads(
        select(objects, "ConfigMap")["skyclass-seaweedfs"]["data"]["identities.json"]
    )
    settings = Settings.model_construct(data_bucket="survey", models_bucket="survey-models")

    found = {each["name"]: json.loads(each["content"]) for each in identities["policies"]}
    assert found == {str(role): make_policy(role, settings) for role in Role}
    root, *others = identities["identities"]
    assert (root["name"], root["actions"]) == ("root", ["Admin"])
    for each in (root, *others):
        (keys,) = each["credentials"]
        assert {variables[name.strip("${}")] for name in keys.values()} == {
            f"skyclass-s3-{each['name']}"
        }
    assert all(each["policyNames"] == [each["name"]] for each in others)
    assert all("actions" not in each for each in others)


def test_seaweedfs_listens_beyond_loopback_only_for_s3() -> None:
    objects = render_ci("seaweedfs")
    container = get_container(
        select(objects, "StatefulSet")["skyclass-seaweedfs"]["spec"]["template"]
    )
    addresses = {each for each in container["command"] if "ip.bind=" in each}
    assert addresses == {"-ip.bind=127.0.0.1", "-s3.ip.bind=0.0.0.0"}
    assert [port["containerPort"] for port in container["ports"]] == [9000]
    (rule,) = select(objects, "NetworkPolicy")["skyclass-store"]["spec"]["ingress"]
    assert rule["ports"] == [{"port": 9000, "protocol": "TCP"}]


def test_every_access_to_the_bundled_store_names_its_engine() -> None:
    text = yaml.safe_dump_all(render_ci("seaweedfs"))
    assert "minio" not in text
    for settings in ("http://skyclass-seaweedfs:9000", "http://skyclass-seaweedfs.here.svc:9000"):
        assert settings in text


def test_an_external_store_needs_neither_generated_secrets_nor_a_bundled_one() -> None:
    objects = render_ci("external")

    assert not select(objects, "Secret")
    assert not select(objects, "StatefulSet")
    settings = select(objects, "ConfigMap")["skyclass-settings"]["data"]
    assert settings["AWS_ENDPOINT_URL"] == "https://s3.example.org"
    (rule,) = select(objects, "NetworkPolicy")["skyclass-to-store"]["spec"]["egress"]
    assert rule == {"ports": [{"port": 443, "protocol": "TCP"}]}


@pytest.mark.parametrize("missing", ["external.endpoint", "existingSecrets.drift"])
def test_an_external_store_requires_its_endpoint_and_secrets(missing: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as error:
        render_ci("external", "--set", f"objectStore.{missing}=")
    assert f"objectStore.{missing} is empty" in error.value.stderr


def test_every_pod_has_the_keys_of_its_own_identity_only() -> None:
    identities = {
        **{"drift": "drift", "ingest": "ingest", "score": "score", "monitor": "apps"},
        "maintain": "maintain",
        **{"predict-page": "explain", "bootstrap": "pipeline", "provision": "root"},
    }
    found = {}
    for _, pod in iterate_pods(render_ci("ingest")):
        container = get_container(pod)
        sources = [each for each in container.get("envFrom", []) if "secretRef" in each]
        if sources:
            (source,) = sources
            found[container["name"]] = source["secretRef"]["name"]
    assert found == {name: f"skyclass-s3-{role}" for name, role in identities.items()}


def test_maintenance_needs_keys_of_its_identity() -> None:
    def has_job(*arguments: str) -> bool:
        objects = render_ci("external", *arguments)
        assert ("skyclass-maintain" in select(objects, "ServiceAccount")) == (
            "skyclass-maintain" in select(objects, "CronJob")
        )
        return "skyclass-maintain" in select(objects, "CronJob")

    keys = ("--set", "objectStore.existingSecrets.maintain=s3-maintain")
    assert not has_job()
    assert has_job(*keys)
    assert not has_job(*keys, "--set", "maintain.enabled=false")


def test_declared_days_reach_the_maintenance_job() -> None:
    days = "logDays=90,reportDays=60,rejectedDays=30,versionDays=14"
    sets = ",".join(f"maintain.retention.{each}" for each in days.split(","))
    job = select(render_ci("default", "--set", sets), "CronJob")["skyclass-maintain"]
    pod = job["spec"]["jobTemplate"]["spec"]["template"]
    found = {each["name"]: each["value"] for each in get_container(pod)["env"]}
    prefix = "SKYCLASS_MAINTAIN_"
    assert found == {
        f"{prefix}LOG_DAYS": "90",
        f"{prefix}REPORT_DAYS": "60",
        f"{prefix}REJECTED_DAYS": "30",
        f"{prefix}VERSION_DAYS": "14",
    }


@pytest.mark.parametrize("name", CI)
def test_cron_jobs_never_overlap(name: str) -> None:
    for where, job in select(render_ci(name), "CronJob").items():
        spec = job["spec"]
        assert spec["concurrencyPolicy"] == "Forbid"
        assert spec["timeZone"] == "Etc/UTC"
        assert 10 < spec["startingDeadlineSeconds"] < 86_400
        assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] <= 3_000
        assert len(where) <= 52


@pytest.mark.parametrize("setting", ["images.jobs.tag=x", "podAnnotations.a=x"])
def test_a_job_with_a_changed_pod_gets_another_name(setting: str) -> None:
    before, after = select(render_ci("default"), "Job"), select(render("--set", setting), "Job")

    assert len(before) == len(after) == 2
    assert not set(before) & set(after)


def test_pipeline_runs_may_promote_the_own_models_only() -> None:
    objects = render_ci("kfp")
    binding = select(objects, "RoleBinding")["skyclass-promote"]
    role = select(objects, "Role")["skyclass-promote"]

    subject = {"kind": "ServiceAccount", "name": "pipeline-runner", "namespace": "kubeflow"}
    assert subject in binding["subjects"]
    rule = next(rule for rule in role["rules"] if "inferenceservices" in rule["resources"])
    assert rule["resourceNames"] == ["skyclass-photometric", "skyclass-spectroscopic"]
    assert "*" not in json.dumps(role["rules"])


def test_pipeline_runs_have_every_secret_and_setting_that_the_compiled_packages_read() -> None:
    # Not skyclass-signing and skyclass-notifications, which are volumes: their owner creates them
    # in that namespace.
    required: dict[str, set[tuple[str, str]]] = {"secret": set(), "configMap": set()}
    for package in sorted((MANIFESTS / "kfp").glob("*.yaml")):
        if not package.stem.endswith("-objects"):
            for executor in iterate_executors(package.read_text()):
                for kind, found in required.items():
                    for source in executor.get(f"{kind}AsEnv", ()):
                        for key in source["keyToEnv"]:
                            found.add((source[f"{kind}Name"], key[f"{kind}Key"]))
    objects = render_ci("notified", "--set", "signing.existingSecret=signing")
    in_kfp = [each for each in objects if each["metadata"]["namespace"] == "kubeflow"]
    secrets, settings = (
        {(name, key) for name, each in select(in_kfp, kind).items() for key in each["data"]}
        for kind in ("Secret", "ConfigMap")
    )
    own = select([each for each in objects if each not in in_kfp], "Secret")

    assert secrets == required["secret"]
    for name, secret in select(in_kfp, "Secret").items():
        assert secret["data"] == own[name]["data"], name
    # Optional, with a default in skyclass.settings.
    assert required["configMap"] - settings == {
        ("skyclass-settings", "SKYCLASS_PROMOTION_SECONDS"),
        ("skyclass-settings", "SKYCLASS_EXPECTATIONS_FILE"),
    }
    assert settings <= required["configMap"]


def iterate_executors(package: str) -> Iterator[dict[str, Any]]:
    """Yield what a compiled package requests from Kubernetes for each step."""
    for document in yaml.safe_load_all(package):
        kubernetes = document.get("platforms", {}).get("kubernetes", {})
        yield from kubernetes.get("deploymentSpec", {}).get("executors", {}).values()


def test_changed_limits_reach_every_pod_and_step_that_validates() -> None:
    objects = render_ci("limits")
    limits = {
        each["metadata"]["namespace"]: tomllib.loads(each["data"]["expectations.toml"])
        for each in objects
        if each["metadata"]["name"] == "skyclass-expectations"
    }
    values = {"classes": {"STAR": [0, 0.9]}, "eras": {"older": 1}}
    assert limits == {"here": values, "kubeflow": values}

    file = "/etc/skyclass-expectations/expectations.toml"
    validating = set()
    for where, pod in iterate_pods(objects):
        for each in get_container(pod).get("env", ()):
            if each["name"] == "SKYCLASS_EXPECTATIONS_FILE":
                assert each["value"] == file, where
                validating.add(where.split("-")[1])
    assert validating == {"bootstrap", "ingest"}
    in_kfp = [each for each in objects if each["metadata"]["namespace"] == "kubeflow"]
    settings = select(in_kfp, "ConfigMap")["skyclass-settings"]["data"]
    assert settings["SKYCLASS_EXPECTATIONS_FILE"] == file
    (volume, *others) = (
        {key: each[key] for key in ("configMapName", "mountPath", "optional")}
        for executor in iterate_executors((MANIFESTS / "kfp/training.yaml").read_text())
        for each in executor.get("configMapAsVolume", ())
    )
    assert volume == {
        "configMapName": "skyclass-expectations",
        "mountPath": str(Path(file).parent),
        "optional": True,
    }
    assert others == [volume]  # ingest and validate


def test_limits_of_the_schema_are_those_of_the_package() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    sections = schema["properties"]["expectations"]["properties"]
    defaults = tomllib.loads((resources.files("skyclass.ingest") / "expectations.toml").read_text())
    assert {name: set(section["properties"]) for name, section in sections.items()} == {
        name: set(limits) for name, limits in defaults.items()
    }


def test_pipeline_runs_get_the_address_of_the_store_and_of_the_templates() -> None:
    objects = render_ci("kfp")
    own, runs = (
        [each for each in objects if each["metadata"]["namespace"] == namespace]
        for namespace in ("here", "kubeflow")
    )
    settings = select(runs, "ConfigMap")["skyclass-settings"]["data"]

    assert settings["AWS_ENDPOINT_URL"] == "http://skyclass-minio.here.svc:9000"
    assert settings["SKYCLASS_NAMESPACE"] == "here"
    assert settings["SKYCLASS_INFERENCE_SERVICE_TEMPLATES"] in select(own, "ConfigMap")


def test_rejects_installation_into_the_namespace_of_kfp() -> None:
    with pytest.raises(subprocess.CalledProcessError) as error:
        render_ci("kfp", "--set", "kfp.namespace=here")
    assert "a namespace of its own" in error.value.stderr


def test_drift_jobs_retrain_and_roll_back_only_with_kfp() -> None:
    for name, retrains in (("default", False), ("kfp", True)):
        objects = render_ci(name)
        job = select(objects, "CronJob")["skyclass-drift-photometric"]
        container = get_container(job["spec"]["jobTemplate"]["spec"]["template"])
        assert (container["args"][-2:] == ["--retrain", "kfp"]) == retrains
        variables = {each["name"]: each.get("value") for each in container["env"]}
        endpoint = "http://ml-pipeline.kubeflow:8888" if retrains else None
        assert variables.get("KF_PIPELINES_ENDPOINT") == endpoint
        policies = select(objects, "NetworkPolicy")
        assert ("skyclass-to-kfp" in policies) == retrains
        assert ("drift" in json.dumps(policies["skyclass-askers"])) == retrains
        promoters = select(objects, "RoleBinding")["skyclass-promote"]["subjects"]
        assert ("skyclass-drift" in {each["name"] for each in promoters}) == retrains
    off = select(render_ci("kfp", "--set", "drift.retraining.enabled=false"), "CronJob")
    assert "--retrain" not in json.dumps(off)


@pytest.mark.parametrize(
    ("values", "endpoint"),
    [
        ("kfp.namespace=ml", "http://ml-pipeline.ml:8888"),
        ("kfp.namespace=ml,kfp.endpoint=https://kfp.example", "https://kfp.example"),
    ],
)
def test_endpoint_of_kfp_follows_its_namespace_unless_it_is_set(values: str, endpoint: str) -> None:
    job = select(render_ci("kfp", "--set", values), "CronJob")["skyclass-drift-photometric"]
    container = get_container(job["spec"]["jobTemplate"]["spec"]["template"])
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert variables["KF_PIPELINES_ENDPOINT"] == endpoint
    assert variables["KF_PIPELINES_UI_ENDPOINT"] == endpoint


def test_only_visitors_and_prometheus_reach_the_monitor_page() -> None:
    objects = render_ci("default")
    deployment = select(objects, "Deployment")["skyclass-monitor"]
    container = get_container(deployment["spec"]["template"])
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    (rule,) = select(objects, "NetworkPolicy")["skyclass-monitor"]["spec"]["ingress"]
    visitor = {"podSelector": {"matchLabels": {"skyclass-visitor": "true"}}}
    assert visitor in rule["from"]
    assert len(rule["from"]) == 2
    (port,) = select(objects, "Service")["skyclass-monitor"]["spec"]["ports"]
    assert port["targetPort"] == "http"


NO_PEERS = "dns visitors prometheus callers identityProvider.peers issuers.peers"
NO_RANGES = "apiServer.cidrs sources.cidrs notifications.cidrs"
NO_PORTS = "apiServer.ports sources.ports notifications.ports identityProvider.ports issuers.ports"


@pytest.mark.parametrize("name", ["access", "ingest", "login", "notified"])
@pytest.mark.parametrize("empty", [NO_PEERS, NO_RANGES, NO_PORTS])
def test_an_empty_list_permits_nothing(name: str, empty: str) -> None:
    values = [f"--set-json=networkPolicy.{each}=[]" for each in empty.split()]
    policies = select(render_ci(name, *values), "NetworkPolicy")
    policies.pop("skyclass-to-kfp", None)  # permits all ports of KFP's namespace
    for policy, content in policies.items():
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for rule in content["spec"].get(direction) or ():
                assert rule[peers], policy
                assert rule["ports"], policy


def test_the_prediction_page_has_no_token_and_reaches_only_predictors_and_store() -> None:
    objects = render_ci("default")
    pod = select(objects, "Deployment")["skyclass-predict-page"]["spec"]["template"]
    assert pod["spec"]["automountServiceAccountToken"] is False
    egress = [
        name
        for name, policy in select(objects, "NetworkPolicy").items()
        if "Egress" in policy["spec"]["policyTypes"]
        and "predict-page" in json.dumps(policy["spec"]["podSelector"])
    ]
    assert sorted(egress) == ["skyclass-askers", "skyclass-to-store"]


def test_installations_with_keys_of_their_own_need_none_for_the_prediction_page() -> None:
    objects = render_ci("external")
    pod = select(objects, "Deployment")["skyclass-predict-page"]["spec"]["template"]
    assert [list(each) for each in get_container(pod)["envFrom"]] == [["configMapRef"]]
    store = select(objects, "NetworkPolicy")["skyclass-to-store"]
    assert "predict-page" not in json.dumps(store["spec"]["podSelector"])


def test_the_prediction_page_explains_if_the_keys_for_it_are_named() -> None:
    objects = render_ci("external", "--set", "objectStore.existingSecrets.explain=s3-explain")
    pod = select(objects, "Deployment")["skyclass-predict-page"]["spec"]["template"]
    (source,) = [each for each in get_container(pod)["envFrom"] if "secretRef" in each]
    assert source["secretRef"]["name"] == "s3-explain"


def test_only_pods_with_a_role_mount_a_token_and_reach_the_api_server() -> None:
    objects = render_ci("kfp", "--set", "score.enabled=true,ingest.enabled=true,ingest.uri=x")
    mounting = {
        get_container(pod)["name"]
        for _, pod in iterate_pods(objects)
        if pod["spec"]["automountServiceAccountToken"]
    }
    bound = {
        subject["name"].removeprefix("skyclass-")
        for binding in select(objects, "RoleBinding").values()
        for subject in binding["subjects"]
        if subject["namespace"] == "here"
    }
    policy = select(objects, "NetworkPolicy")["skyclass-to-api-server"]
    (expression,) = policy["spec"]["podSelector"]["matchExpressions"]

    assert mounting == bound == set(expression["values"])
    assert mounting == {"bootstrap", "drift", "monitor", "score"}


def test_prometheus_objects_require_the_prometheus_operator() -> None:
    assert not select(render_ci("default"), "PodMonitor")
    objects = render_ci("default", *MONITORING)

    assert set(select(objects, "PodMonitor")) == {"skyclass-monitor", "skyclass-predictor"}
    (rule,) = select(objects, "PrometheusRule").values()
    alerts = [alert for group in rule["spec"]["groups"] for alert in group["rules"]]
    assert all({"alert", "expr", "labels", "annotations"} <= set(alert) for alert in alerts)
    assert len({json.dumps([a["alert"], a["labels"]]) for a in alerts}) == len(alerts)


def test_the_dashboard_is_valid_for_grafana() -> None:
    objects = render_ci("default")
    board = json.loads(select(objects, "ConfigMap")["skyclass-dashboard"]["data"]["skyclass.json"])
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
        assert not cells & taken, f"{panel['title']} overlaps another panel"
        taken |= cells
        for target in panel["targets"]:
            used = {
                *re.findall(r"\$(\w+)", target["expr"]),
                panel["datasource"]["uid"].strip("${}"),
            }
            assert used <= variables, panel["title"]


def test_disabled_components_have_no_objects() -> None:
    objects = render_ci("bare", *MONITORING)

    for kind in ("CronJob", "Deployment", "NetworkPolicy", "PodMonitor", "PrometheusRule",
                 "RoleBinding"):  # fmt: skip
        assert not select(objects, kind), kind
    assert set(select(objects, "ServiceAccount")) == {
        f"skyclass-{name}" for name in ("minio", "predictor", "provision")
    }
    assert "skyclass-dashboard" not in select(objects, "ConfigMap")


def test_the_monitor_the_messages_and_the_alert_follow_the_schedule_of_the_drift_job() -> None:
    objects = render("--set", "drift.periodHours=168", *MONITORING)
    period = {"name": "SKYCLASS_DRIFT_PERIOD_HOURS", "value": "168"}
    follow = {
        get_container(pod)["name"]
        for _, pod in iterate_pods(objects)
        if period in get_container(pod).get("env", ())
    }
    assert follow == {"drift", "monitor"}
    assert "> 2 * 168 * 3600" in yaml.safe_dump(select(objects, "PrometheusRule"))


@pytest.mark.parametrize("pages", ["", "https://kfp.example.org"])
def test_the_monitor_links_to_the_pages_of_kfp_if_they_have_a_url(pages: str) -> None:
    objects = render_ci("kfp", "--set", f"kfp.pages={pages}")
    (pod,) = (pod for _, pod in iterate_pods(objects) if get_container(pod)["name"] == "monitor")
    variables = {each["name"]: each.get("value") for each in get_container(pod)["env"]}
    assert variables.get("KF_PIPELINES_UI_ENDPOINT", "") == pages


@pytest.mark.parametrize("name", CI)
def test_no_upstream_image_of_minio_is_pulled(name: str) -> None:
    assert not re.search(r"(docker\.io|quay\.io)/minio/", yaml.safe_dump_all(render_ci(name)))


def test_releases_are_signed_by_the_bootstrap_job_and_verified_by_the_predictor() -> None:
    objects = render_ci("signed")
    for service in parse_inference_services(objects).values():
        (variable,) = service["spec"]["predictor"]["model"]["env"]
        assert variable["name"] == "SKYCLASS_SERVING_PUBLIC_KEY"
        assert variable["value"].startswith("-----BEGIN PUBLIC KEY-----\n")
    (pod,) = (pod for where, pod in iterate_pods(objects) if "bootstrap" in where)
    variables = {each["name"]: each.get("value") for each in get_container(pod)["env"]}
    assert variables["SKYCLASS_SIGNING_KEY"] == "/etc/skyclass/private.pem"

    with pytest.raises(subprocess.CalledProcessError) as error:
        render_ci("signed", "--set", "signing.existingSecret=")
    assert "signing.existingSecret is empty" in error.value.stderr


def test_requiring_signatures_restarts_no_predictor() -> None:
    # KServe restarts the pods of a changed ServingRuntime, and unsigned releases would not start.
    unsigned, signed = render_ci("default"), render_ci("signed")
    assert select(unsigned, "ServingRuntime") == select(signed, "ServingRuntime")
    assert parse_inference_services(unsigned) != parse_inference_services(signed)


def test_only_jobs_that_notify_have_the_channels_and_reach_them() -> None:
    objects = render_ci("notified")
    secret = {"secretName": "channels", "optional": True}
    notifying = {
        get_container(pod)["name"]
        for _, pod in iterate_pods(objects)
        if any(volume.get("secret") == secret for volume in pod["spec"].get("volumes", ()))
    }
    policy = select(objects, "NetworkPolicy")["skyclass-to-channels"]["spec"]
    (expression,) = policy["podSelector"]["matchExpressions"]
    assert notifying == set(expression["values"]) == {"bootstrap", "drift"}
    (rule,) = policy["egress"]
    assert rule["to"] == [{"ipBlock": {"cidr": "203.0.113.7/32"}}]
    assert rule["ports"] == [{"port": 443, "protocol": "TCP"}]


def get_kfp_settings(objects: Objects) -> dict[str, str]:
    """Return the settings of pipeline steps."""
    in_kfp = [each for each in objects if each["metadata"]["namespace"] == "kubeflow"]
    return dict(select(in_kfp, "ConfigMap")["skyclass-settings"]["data"])


def test_messages_have_the_links_and_kinds_of_the_values() -> None:
    objects = render_ci("notified")
    job = select(objects, "CronJob")["skyclass-drift-photometric"]
    container = get_container(job["spec"]["jobTemplate"]["spec"]["template"])
    variables = {each["name"]: each.get("value") for each in container["env"]}
    (settings,) = (
        each["data"]
        for each in objects
        if each["kind"] == "ConfigMap" and each["metadata"]["namespace"] == "kubeflow"
    )
    for found in (variables, settings):
        assert (
            found["SKYCLASS_NOTIFICATION_KINDS"] == "failed,promoted,rejected,rolled_back,waiting"
        )
        assert found["SKYCLASS_MONITOR_URL"] == "https://sky.example.org/monitor"
        assert found["KF_PIPELINES_UI_ENDPOINT"] == "https://kfp.example.org"


def test_packages_mount_the_channels_where_the_settings_name_them() -> None:
    package = (MANIFESTS / "kfp/training.yaml").read_text()
    mounted = [
        (each["secretName"], each["mountPath"])
        for executor in iterate_executors(package)
        for each in executor.get("secretAsVolume", ())
        if each["secretName"] == "skyclass-notifications"
    ]
    settings = get_kfp_settings(render_ci("notified"))
    (folder,) = [path for _, path in mounted]
    assert settings["SKYCLASS_NOTIFICATION_URLS_FILE"] == f"{folder}/urls"


def test_kinds_of_the_schema_are_those_of_the_package() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    kinds = schema["properties"]["notifications"]["properties"]["kinds"]["items"]["enum"]
    assert set(kinds) == set(Kind) - {Kind.TEST}


def test_without_channels_no_job_can_send_messages() -> None:
    assert "notification" not in yaml.safe_dump_all(render_ci("kfp")).lower()
    assert "skyclass-to-channels" not in select(render_ci("kfp"), "NetworkPolicy")


def test_values_that_lack_a_section_are_an_error() -> None:
    """`helm upgrade --reuse-values` omits the sections that the previous chart did not have."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert {*schema["required"], "global"} == schema["properties"].keys()
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(schema["required"]) == values.keys()


def test_every_digest_is_a_text() -> None:
    """Unquoted, one of several hundred is a number in YAML, like 1234567890123456 or 1e456."""
    templates = (path for path in (CHART / "templates").iterdir() if path.is_file())
    lines = [line for path in templates for line in path.read_text().splitlines()]
    written = [line for line in lines if "sha256sum" in line and ":=" not in line]
    assert written
    assert all("quote" in line for line in written), written
