"""Login and TLS of the endpoint: what the chart renders with `access.endpoint`."""

import re
import subprocess
from typing import Any

import pytest
import yaml

from charts.readme import CHART
from charts.render import render
from tests.chart.test_templates import (
    MONITORING,
    Objects,
    parse_inference_services,
    render_ci,
    select,
)

CERTIFICATE = "skyclass-endpoint-tls"
LISTENERS = {"port-8080", "port-8081", "port-8443"}
MODEL = "skyclass-photometric"
OPEN = [
    *("/", "/metrics", "/openapi.json", "/v1/models", f"/v1/models/{MODEL}", "/v2"),
    *("/v2/health/live", "/v2/health/ready", "/v2/models", f"/v2/models/{MODEL}"),
    *(f"/v2/models/{MODEL}/ready", f"/v2/models/{MODEL}/versions/0a1b/ready"),
]
CLOSED = [
    *(f"/v1/models/{MODEL}:predict", f"/v2/models/{MODEL}/infer", "/v2/repository/index"),
    *(f"/v1/models/{MODEL}%3Apredict", f"/v2/models/{MODEL}%2Finfer"),
    *(f"/v2/models/{MODEL}/versions/0a1b/infer", f"/v2/models/{MODEL}/versions/0%2Finfer"),
    *(f"/v2/models/{MODEL}/infer/ready", f"//v2/models/{MODEL}", "/metrics/../v1/models/x:predict"),
]


def get_containers(objects: Objects) -> dict[str, dict[str, Any]]:
    """Return the containers of the ServingRuntime by name."""
    runtime = select(objects, "ServingRuntime")["skyclass"]
    return {each["name"]: each for each in runtime["spec"]["containers"]}


def get_managers(objects: Objects) -> dict[str, dict[str, Any]]:
    """Return the configuration of each listener's HTTP connection manager by its name."""
    data = select(objects, "ConfigMap")["skyclass-envoy"]["data"]
    listeners = yaml.safe_load(data["envoy.yaml"])["static_resources"]["listeners"]
    return {
        each["name"]: each["filter_chains"][0]["filters"][0]["typed_config"] for each in listeners
    }


def get_rules(manager: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rules of the JWT filter; none if the listener has no such filter."""
    filters = {each["name"]: each["typed_config"] for each in manager["http_filters"]}
    return list(filters.get("envoy.filters.http.jwt_authn", {"rules": []})["rules"])


def test_by_default_the_predictor_listens_itself_and_nothing_else_runs_in_its_pod() -> None:
    objects = render_ci("default")
    containers = get_containers(objects)
    assert set(containers) == {"kserve-container"}
    assert "--host=0.0.0.0" in containers["kserve-container"]["args"]
    assert "skyclass-envoy" not in select(objects, "ConfigMap")


def test_behind_envoy_the_predictor_listens_on_loopback_and_the_service_is_unchanged() -> None:
    predictor = get_containers(render_ci("access"))["kserve-container"]
    assert predictor["args"][2:] == ["--host=127.0.0.1", "--port=8082", "--grpc-port=8083"]
    ports = {each["name"]: each["containerPort"] for each in predictor["ports"]}
    assert ports == {"http": 8080, "grpc": 8081, "https": 8443}


def test_envoy_satisfies_pod_security_restricted_and_alone_mounts_the_private_key() -> None:
    containers = get_containers(render_ci("access"))
    security = containers["envoy"]["securityContext"]
    assert security == containers["kserve-container"]["securityContext"]
    mounts = {name: str(each["volumeMounts"]) for name, each in containers.items()}
    assert "envoy-tls" in mounts["envoy"]
    assert "envoy-tls" not in mounts["kserve-container"]


@pytest.mark.parametrize("path", OPEN)
def test_probes_metrics_and_metadata_need_no_token(path: str) -> None:
    (rule, *_) = [each for each in find_rules("port-8443") if matches(each, path)]
    assert "requires" not in rule


@pytest.mark.parametrize("path", CLOSED)
def test_everything_else_needs_a_token(path: str) -> None:
    (rule, *_) = [each for each in find_rules("port-8443") if matches(each, path)]
    assert rule["requires"]


@pytest.mark.parametrize(
    ("call", "is_open"),
    [("ServerLive", True), ("ModelReady", True), ("ModelMetadata", True), ("ModelInfer", False),
     ("RepositoryModelUnload", False)],
)  # fmt: skip
def test_only_inference_and_administration_by_grpc_need_a_token(call: str, is_open: bool) -> None:
    path = f"/inference.GRPCInferenceService/{call}"
    (rule, *_) = [each for each in find_rules("port-8081") if matches(each, path)]
    assert ("requires" not in rule) is is_open


def find_rules(listener: str) -> list[dict[str, Any]]:
    return get_rules(get_managers(render_ci("access"))[listener])


def matches(rule: dict[str, Any], path: str) -> bool:
    """Return whether Envoy applies a rule to a path, whatever the method."""
    match = rule["match"]
    if "prefix" in match:
        return path.startswith(match["prefix"])
    return re.fullmatch(match["safe_regex"]["regex"], path) is not None


def test_tokens_need_an_expiry_and_are_taken_from_the_header_only() -> None:
    for name in ("port-8443", "port-8081"):
        manager = get_managers(render_ci("access"))[name]
        (config,) = [each["typed_config"] for each in manager["http_filters"]
                     if "jwt_authn" in each["name"]]  # fmt: skip
        for provider in config["providers"].values():
            assert provider["require_expiration"] is True
            assert [each["name"] for each in provider["from_headers"]] == ["Authorization"]


def test_with_tls_the_port_without_it_serves_no_predictions() -> None:
    managers = get_managers(render_ci("access"))
    assert set(managers) == LISTENERS
    *open_routes, last = managers["port-8080"]["route_config"]["virtual_hosts"][0]["routes"]
    assert all("safe_regex" in each["match"] for each in open_routes)
    assert last["direct_response"]["status"] == 403


def test_login_without_tls_guards_the_usual_ports() -> None:
    values = ['--set-json=access.endpoint.tls.existingSecret=""', *MONITORING]
    managers = get_managers(render_ci("access", *values))
    assert set(managers) == LISTENERS - {"port-8443"}
    assert all(get_rules(each)[-1]["requires"] for each in managers.values())


def test_tls_without_login_needs_no_token() -> None:
    managers = get_managers(render("--set", f"access.endpoint.tls.existingSecret={CERTIFICATE}"))
    assert set(managers) == LISTENERS
    assert not any(get_rules(each) for each in managers.values())


def test_connections_drain_before_envoy_ends_and_the_predictor_ends_last() -> None:
    objects = render_ci("access", "--set=predictor.preStopSeconds=7")
    envoy = get_containers(objects)["envoy"]
    assert envoy["lifecycle"]["preStop"]["sleep"]["seconds"] == 17
    assert envoy["args"][envoy["args"].index("--drain-strategy") + 1] == "immediate"
    assert not any("=" in argument for argument in envoy["args"])  # Envoy would not start
    for service in parse_inference_services(objects).values():
        predictor = service["spec"]["predictor"]
        code = predictor["model"]["lifecycle"]["preStop"]["exec"]["command"][-1]
        compile(code, "preStop", "exec")
        assert "drain_listeners?graceful&skip_exit" in code
        assert "time.sleep(17)" in code
        assert predictor["terminationGracePeriodSeconds"] == 47


def test_only_the_prediction_page_has_a_token_for_the_endpoint() -> None:
    objects = render_ci("access", "--skip-tests")
    for name, deployment in select(objects, "Deployment").items():
        has_token = "serviceAccountToken" in str(deployment)
        assert has_token == (name == "skyclass-predict-page"), name
    for job in (*select(objects, "CronJob").values(), *select(objects, "Job").values()):
        assert "serviceAccountToken" not in str(job)


def test_the_prediction_page_calls_the_endpoint_with_tls_token_and_ca_certificate() -> None:
    page = select(render_ci("access"), "Deployment")["skyclass-predict-page"]["spec"]["template"]
    (container,) = page["spec"]["containers"]
    assert f"https://{MODEL}-predictor:8443" in container["args"]
    (volume,) = [each for each in page["spec"]["volumes"] if each["name"] == "endpoint"]
    token, secret = volume["projected"]["sources"]
    assert token["serviceAccountToken"]["audience"] == "skyclass"
    assert secret["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "endpoint"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert variables["SKYCLASS_ENDPOINT_TOKEN_FILE"] == f"{mount['mountPath']}/token"
    assert variables["SKYCLASS_ENDPOINT_CA_FILE"] == f"{mount['mountPath']}/ca.crt"


def test_the_prediction_page_has_its_token_behind_a_login_of_its_own() -> None:
    login = ("-f", str(CHART / "ci/login-values.yaml"))
    page = select(render_ci("access", *login), "Deployment")["skyclass-predict-page"]
    spec = page["spec"]["template"]["spec"]
    containers = {each["name"]: each for each in spec["containers"]}
    assert set(containers) == {"login", "predict-page"}
    assert "SKYCLASS_ENDPOINT_TOKEN_FILE" in str(containers["predict-page"]["env"])
    assert "endpoint" not in str(containers["login"].get("volumeMounts"))
    assert "endpoint" in {each["name"] for each in spec["volumes"]}


def test_predictors_fetch_keys_only_from_permitted_addresses() -> None:
    peers = '[{"ipBlock": {"cidr": "203.0.113.7/32"}}]'
    values = ("--set-json", f"networkPolicy.issuers.peers={peers}")
    policy = select(render_ci("access", *values), "NetworkPolicy")["skyclass-to-issuers"]
    assert policy["spec"]["egress"] == [
        {
            "to": [{"ipBlock": {"cidr": "203.0.113.7/32"}}],
            "ports": [{"port": 443, "protocol": "TCP"}],
        }
    ]
    assert "skyclass-to-issuers" not in select(render_ci("default"), "NetworkPolicy")


ISSUER = '{"issuer": "https://a", "audiences": ["skyclass"]'


@pytest.mark.parametrize(
    ("issuers", "message"),
    [
        ("[]", "issuers"),
        (f"[{ISSUER}}}]", "issuers"),
        (f'[{ISSUER}, "jwks": "{{}}"}}]', "has no keys"),
        (f'[{ISSUER}, "jwks": "{{\\"keys\\": [{{\\"k\\": \\"x\\"}}]}}"}}]', "has a secret key"),
        (f'[{ISSUER}, "jwks": "{{\\"keys\\": [{{\\"d\\": \\"x\\"}}]}}"}}]', "has a secret key"),
        (f'[{ISSUER}, "jwksUri": "http://a/keys"}}]', "jwksUri"),
        (
            f'[{ISSUER.replace("skyclass", "other")}, "jwksUri": "https://a/keys"}}]',
            "no issuer has",
        ),
    ],
)
def test_rejects_issuers_that_cannot_work(issuers: str, message: str) -> None:
    login = f'access.endpoint.login={{"enabled": true, "issuers": {issuers}}}'
    with pytest.raises(subprocess.CalledProcessError) as error:
        render("--set-json", login)
    assert message in error.value.stderr
