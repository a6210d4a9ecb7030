"""The web applications: they answer in the cluster, with the permissions that they have there."""

import json
import time
import urllib.request
from collections.abc import Callable

import pytest

from tests.support.cluster.chart import MODES, OBJECTS, Installation
from tests.support.cluster.kube import eventually

CLASSIFY = "/gradio_api/call/classify"


def read(url: str, body: bytes | None = None) -> str:
    """Ask a page."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return str(answer.read().decode())


@pytest.mark.parametrize("component", ["monitor", "predict-page"])
def test_the_page_is_available(installed: Installation, component: str) -> None:
    name = f"deployment/{installed.name}-{component}"
    installed.namespace.kubectl("rollout", "status", name, "--timeout=180s")


def test_the_monitor_page_shows_what_is_served(installed: Installation) -> None:
    with installed.namespace.forwarded(f"service/{installed.name}-monitor", 80) as address:
        metrics = read(f"{address}/metrics")
        pages = {mode: read(f"{address}/{mode}/releases") for mode in MODES}
    for mode in MODES:
        assert f'skyclass_monitor_readable{{mode="{mode}"}} 1.0' in metrics
        release = installed.release(mode)
        assert release in metrics
        assert release in pages[mode]


@pytest.mark.parametrize("mode", MODES)
def test_the_prediction_page_asks_both_predictors(installed: Installation, mode: str) -> None:
    typed = [str(value) for value in OBJECTS[mode][0]]
    data = json.dumps({"data": [*typed, ""][:6]}).encode()
    with installed.namespace.forwarded(f"service/{installed.name}-predict-page", 80) as address:
        event = json.loads(read(address + CLASSIFY, data))["event_id"]
        said = read(f"{address}{CLASSIFY}/{event}")
    assert f"by the {mode} model" in said
    assert installed.release(mode)[:12] in said


def test_visitors_reach_the_pages_and_strangers_do_not(installed: Installation) -> None:
    visitor = installed.shell("visitor", {"skyclass-visitor": "true"})
    stranger = installed.shell("stranger", {})
    for page in ("monitor", "predict-page"):
        name = f"{installed.name}-{page}"
        for shell, expected in ((visitor, True), (stranger, False)):
            eventually(_as(shell.reaches, name, expected), seconds=10)


def _as(reaches: Callable[[str, int], bool], host: str, expected: bool) -> Callable[[], bool]:
    return lambda: reaches(host, 80) == expected


def test_a_page_that_ends_comes_back(installed: Installation) -> None:
    selector = "app.kubernetes.io/component=monitor"
    (pod,) = installed.namespace.names("pods", selector)
    installed.namespace.kubectl("delete", "pod", pod, "--wait=false")
    begun = time.monotonic()
    eventually(lambda: installed.namespace.names("pods", selector) - {pod}, seconds=60)
    name = f"deployment/{installed.name}-monitor"
    installed.namespace.kubectl("rollout", "status", name, "--timeout=180s")
    assert time.monotonic() - begun < 180
