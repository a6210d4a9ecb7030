"""The process of the prediction page: it serves any HTTP/1.1 client, and rests when it is idle."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest
import urllib3

from skyclass.local.ports import find_free_ports
from tests.support.predictor import ROOT, START_SECONDS, eventually

pytestmark = pytest.mark.slow

OBSERVED_SECONDS = 4
MAX_WAKEUPS_PER_SECOND = 100  # with Gradio's default interval hundreds, on any machine


@pytest.fixture(scope="module")
def process() -> Iterator[tuple[str, psutil.Process]]:
    """URL and process of a prediction page without predictors."""
    (port,) = find_free_ports(1)
    command = [sys.executable, "-m", "skyclass", "predict-page", "--port", str(port)]
    started = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    url = f"http://127.0.0.1:{port}"

    def is_live() -> bool:
        try:
            return urllib3.request("GET", f"{url}/healthz", retries=False).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    try:
        eventually(is_live, START_SECONDS)
        yield url, psutil.Process(started.pid)
    finally:
        started.kill()
        started.communicate()


def test_the_body_of_a_request_that_offers_an_upgrade_is_read(
    process: tuple[str, psutil.Process],
) -> None:
    url, _ = process
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAE"}
    body = json.dumps({"data": ["20.2", "19.5", "19.4", "19.3", "19.0", "2.3"]})
    response = urllib3.request(
        "POST",
        f"{url}/gradio_api/call/classify",
        body=body,
        headers={"Content-Type": "application/json", **offer},
    )
    assert response.status == 200, response.data
    assert "event_id" in response.json()


@pytest.mark.parametrize("path", ["/", "/healthz"])
def test_head_works_like_get_without_a_body(process: tuple[str, psutil.Process], path: str) -> None:
    url, _ = process
    response = urllib3.request("HEAD", url + path)
    assert (response.status, response.data) == (200, b"")


def test_an_idle_page_rarely_wakes_up(process: tuple[str, psutil.Process]) -> None:
    url, page = process
    urllib3.request("GET", url)
    before, started = page.num_ctx_switches().voluntary, time.monotonic()
    time.sleep(OBSERVED_SECONDS)
    wakeups = page.num_ctx_switches().voluntary - before
    assert wakeups / (time.monotonic() - started) < MAX_WAKEUPS_PER_SECOND
