"""The web applications with the permissions that they have in the cluster."""

import json
import urllib.request
from collections.abc import Callable

import pytest

from skyclass.apps.predict.form import FIELDS, OPTIONAL_FIELDS
from tests.support.cluster.chart import MODES, OBJECTS, Installation
from tests.support.cluster.kube import eventually

CLASSIFY = "/gradio_api/call/classify"


def request(url: str, body: bytes | None = None) -> str:
    """Send a GET request, or a POST request if there is a body, and return the response."""
    prepared = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(prepared, timeout=60) as response:  # noqa: S310
        return str(response.read().decode())


@pytest.mark.parametrize("component", ["monitor", "predict-page"])
def test_the_page_is_available(installed: Installation, component: str) -> None:
    name = f"deployment/{installed.name}-{component}"
    installed.namespace.kubectl("rollout", "status", name, "--timeout=180s")


def test_the_monitor_page_shows_the_served_releases(installed: Installation) -> None:
    with installed.namespace.forward(f"service/{installed.name}-monitor", 80) as address:
        metrics = request(f"{address}/metrics")
        pages = {mode: request(f"{address}/{mode}/releases") for mode in MODES}
    for mode in MODES:
        assert f'skyclass_monitor_readable{{mode="{mode}"}} 1.0' in metrics
        release = installed.get_release(mode)
        assert release in metrics
        assert release in pages[mode]


def test_the_monitor_page_shows_the_lineage_of_the_served_releases(installed: Installation) -> None:
    with installed.namespace.forward(f"service/{installed.name}-monitor", 80) as address:
        for mode in MODES:
            release = installed.get_release(mode)
            page = request(f"{address}/releases/{release}")
            assert f"{mode} mode" in page
            assert "became the first champion" in page or "replaced " in page
            card = request(f"{address}/releases/{release}/model_card.md")
            assert f"# skyclass-{mode}\n" in card


@pytest.mark.parametrize("mode", MODES)
def test_the_prediction_page_calls_both_predictors(installed: Installation, mode: str) -> None:
    inputs = [str(value) for value in OBJECTS[mode][0]]
    empty = [""] * (len((*FIELDS, *OPTIONAL_FIELDS, "coverage", "purity")) - len(inputs))
    data = json.dumps({"data": [*inputs, *empty]}).encode()
    with installed.namespace.forward(f"service/{installed.name}-predict-page", 80) as address:
        event = json.loads(request(address + CLASSIFY, data))["event_id"]
        events = request(f"{address}{CLASSIFY}/{event}")
    assert f"by the {mode} model" in events
    assert installed.get_release(mode)[:12] in events


def test_only_visitors_connect_to_the_pages(installed: Installation) -> None:
    visitor = installed.start_shell("visitor", {"skyclass-visitor": "true"})
    other = installed.start_shell("unlabelled", {})
    for page in ("monitor", "predict-page"):
        name = f"{installed.name}-{page}"
        for shell, expected in ((visitor, True), (other, False)):
            eventually(_make_check(shell.can_connect, name, expected), seconds=60)


def _make_check(
    can_connect: Callable[[str, int], bool], host: str, expected: bool
) -> Callable[[], bool]:
    return lambda: can_connect(host, 80) == expected


def test_a_deleted_page_pod_is_replaced(installed: Installation) -> None:
    selector = "app.kubernetes.io/component=monitor"
    pod = installed.namespace.get_pod(selector)["metadata"]["name"]
    installed.namespace.kubectl("delete", "pod", pod, "--wait=false")
    eventually(lambda: pod not in installed.namespace.list_names("pods", selector), seconds=120)
    name = f"deployment/{installed.name}-monitor"
    installed.namespace.kubectl("rollout", "status", name, "--timeout=180s")
