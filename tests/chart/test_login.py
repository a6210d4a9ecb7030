"""The login of the pages: what the chart renders with `access.pages`."""

import subprocess
from typing import Any

import pytest

from charts.render import render
from tests.chart.test_templates import MONITORING, Objects, render_ci, select

PAGES = {"monitor": 8000, "predict-page": 8001}
REQUIRED = {
    "access.pages.oidc.issuerUrl": "",
    "access.pages.oidc.existingSecret": "",
    "monitor.url": "",
    "predictPage.url": "",
    "access.pages.oidc.allowedGroups": "{}",
    "predictPage.rootPath": "/elsewhere",
}
"""Values without which the login cannot work, and a value that must be rejected."""


def get_containers(objects: Objects, page: str) -> dict[str, dict[str, Any]]:
    """Return the containers of a page's pod by name."""
    pod = select(objects, "Deployment")[f"skyclass-{page}"]["spec"]["template"]
    return {each["name"]: each for each in pod["spec"]["containers"]}


def get_ports(container: dict[str, Any]) -> dict[str, int]:
    """Return the ports of a container by name."""
    return {each["name"]: each["containerPort"] for each in container["ports"]}


@pytest.mark.parametrize("page", PAGES)
def test_nothing_asks_for_a_login_by_default(page: str) -> None:
    objects = render_ci("default")
    assert set(get_containers(objects, page)) == {page}
    assert not {"--login", "--probe-port"} & set(get_containers(objects, page)[page]["args"])
    assert "skyclass-to-identity-provider" not in select(objects, "NetworkPolicy")


@pytest.mark.parametrize(("page", "port"), PAGES.items())
def test_the_page_listens_on_loopback_behind_the_login(page: str, port: int) -> None:
    containers = get_containers(render_ci("login"), page)
    arguments = containers[page]["args"]
    assert arguments[:5] == [page, "--host", "127.0.0.1", "--port", "9000"]
    assert "--upstream=http://127.0.0.1:9000/" in containers["login"]["args"]
    assert f"--http-address=0.0.0.0:{port}" in containers["login"]["args"]
    assert get_ports(containers["login"]) == {"http": port}  # the Service's target port


@pytest.mark.parametrize("page", PAGES)
def test_probes_have_a_port_without_login(page: str) -> None:
    container = get_containers(render_ci("login"), page)[page]
    assert get_ports(container) == {"probes": 9001}
    assert container["args"][5:8] == ["--probe-port", "9001", "--login"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "probes"}


def test_prometheus_reaches_the_metrics_and_visitors_the_login() -> None:
    objects = render_ci("login", *MONITORING)
    monitor = select(objects, "PodMonitor")["skyclass-monitor"]
    assert monitor["spec"]["podMetricsEndpoints"][0]["port"] == "probes"
    predictor = select(objects, "PodMonitor")["skyclass-predictor"]
    assert predictor["spec"]["podMetricsEndpoints"][0]["port"] == "http"
    visitors, prometheus = select(objects, "NetworkPolicy")["skyclass-monitor"]["spec"]["ingress"]
    assert "podSelector" in visitors["from"][0]
    assert [each["port"] for each in visitors["ports"]] == [8000]
    assert "namespaceSelector" in prometheus["from"][0]
    assert [each["port"] for each in prometheus["ports"]] == [9001]


def test_only_the_pages_reach_the_provider() -> None:
    policy = select(render_ci("login"), "NetworkPolicy")["skyclass-to-identity-provider"]["spec"]
    (expression,) = policy["podSelector"]["matchExpressions"]
    assert expression["values"] == list(PAGES)
    assert policy["egress"] == [
        {
            "to": [{"ipBlock": {"cidr": "203.0.113.9/32"}}],
            "ports": [{"port": 443, "protocol": "TCP"}],
        }
    ]


@pytest.mark.parametrize("page", PAGES)
def test_the_login_verifies_what_it_can(page: str) -> None:
    arguments = get_containers(render_ci("login"), page)["login"]["args"]
    assert {
        "--code-challenge-method=S256",
        "--insecure-oidc-skip-nonce=false",
        "--allowed-group=observers",
        "--provider-ca-file=/etc/oidc/ca.crt",
    } <= set(arguments)


def test_the_prefix_is_part_of_all_paths_of_the_login() -> None:
    arguments = get_containers(render_ci("login"), "monitor")["login"]["args"]
    assert {
        "--proxy-prefix=/monitor/oauth2",
        "--redirect-url=https://sky.example.org/monitor/oauth2/callback",
        "--exclude-logging-path=/monitor/oauth2/callback",
        "--api-route=^/monitor/(static/|metrics$|healthz$)",
    } <= set(arguments)


def test_cookies_of_https_are_sent_to_their_own_host_and_with_https_only() -> None:
    arguments = get_containers(render_ci("login"), "monitor")["login"]["args"]
    assert {
        "--cookie-name=__Host-skyclass-monitor",
        "--cookie-secure=true",
        "--cookie-samesite=lax",
    } <= set(arguments)


def test_a_url_without_https_has_cookies_that_its_browser_accepts() -> None:
    objects = render_ci("login", "--set", "monitor.url=http://sky.local/monitor")
    arguments = get_containers(objects, "monitor")["login"]["args"]
    assert {"--cookie-name=skyclass-monitor", "--cookie-secure=false"} <= set(arguments)


def test_secrets_of_the_client_are_in_no_argument() -> None:
    login = get_containers(render_ci("login"), "monitor")["login"]
    assert {each["name"]: each["valueFrom"]["secretKeyRef"] for each in login["env"]} == {
        f"OAUTH2_PROXY_{key.upper().replace('-', '_')}": {"name": "oidc-client", "key": key}
        for key in ("client-id", "client-secret", "cookie-secret")
    }
    assert not any("secret" in argument for argument in login["args"])


@pytest.mark.parametrize("setting", REQUIRED)
def test_rejects_a_login_that_cannot_work(setting: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failure:
        render_ci("login", "--set", f"{setting}={REQUIRED[setting]}")
    assert setting.rpartition(".")[2] in failure.value.stderr


def test_an_unused_login_needs_no_values() -> None:
    disabled = "monitor.enabled=false,predictPage.enabled=false,access.pages.enabled=true"
    assert render("--set", disabled)
