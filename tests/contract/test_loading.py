"""While the model loads, requests get 503; if it cannot be loaded, the process exits."""

import socket
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import urllib3

from skyclass.local.ports import find_free_ports
from skyclass.survey.features import INPUTS, Mode
from tests.support.predictor import START_SECONDS, STOP_SECONDS, Site, eventually, start

pytestmark = pytest.mark.slow

MODE = Mode.PHOTOMETRIC
NAME = "skyclass-photometric"
REQUEST = {"instances": [[20.0] * len(INPUTS[MODE])]}
TENSOR = {"name": "x", "shape": [1, 5], "datatype": "FP64", "data": [20.0] * 5}


def test_requests_get_503_until_the_model_is_loaded(site: Site, tmp_path: Path) -> None:
    store = socket.create_server(("127.0.0.1", 0))  # it does not answer, until it is closed
    unresponsive = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{store.getsockname()[1]}",
        "SKYCLASS_S3_RETRIES": "0",
        "SKYCLASS_S3_READ_SECONDS": "300",
    }
    waiting = replace(site, environment={**site.environment, **unresponsive})
    (port,) = find_free_ports(1)
    server = start(waiting, MODE, None, tmp_path / "log", port=port)
    server.url = f"http://127.0.0.1:{port}"

    def try_request(method: str, path: str, body: Any = None) -> urllib3.BaseHTTPResponse | None:
        with suppress(urllib3.exceptions.HTTPError):
            return server.request(method, path, body)
        return None

    try:
        live = eventually(lambda: try_request("GET", "/v2/health/live"), START_SECONDS)
        assert live.status == 200
        for path, body in (
            (f"/v1/models/{NAME}:predict", REQUEST),
            (f"/v2/models/{NAME}/infer", {"inputs": [TENSOR]}),
            (f"/v2/models/{NAME}/versions/9/infer", {"inputs": [TENSOR]}),
        ):
            rejected = server.request("POST", path, body)
            assert (rejected.status, rejected.headers["Retry-After"]) == (503, "1")
            assert rejected.json() == {"error": f"{NAME} is loading: retry after 1 s"}
        for path in (
            *("/v2/health/ready", f"/v1/models/{NAME}"),
            *(f"/v2/models/{NAME}/ready", f"/v2/models/{NAME}/versions/9/ready"),
        ):
            ready = server.request("GET", path)
            assert (ready.status, ready.json()["ready"]) == (503, False)
        assert server.request("GET", f"/v2/models/{NAME}").status == 503
        store.close()
        assert server.process.wait(STOP_SECONDS) == 1
        assert server.log.startswith("error: ")
        assert len(server.log.splitlines()) == 1
    finally:
        store.close()
        server.process.kill()
        server.process.wait()
