"""The server of the web applications: path prefixes, and the port for probes."""

import select
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from urllib.error import HTTPError, URLError

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from skyclass.apps.web_server import Address, PathPrefix, ProbePort, make_fastapi, run
from skyclass.errors import ServingError
from skyclass.local.ports import find_free_ports
from skyclass.polling import poll
from skyclass.sockets import LOOPBACK, bind
from tests.support.processes import fork_server

PROBE_PORT = 9001
THREADS = 40
"""Threads in which Starlette runs what is not asynchronous, by default."""
TIMEOUT_SECONDS = 10
"""After which a request is known to wait for one of them."""
IDLE_SECONDS = 7
"""Longer than uvicorn keeps a connection by default."""


def make_app() -> FastAPI:
    """Return an application whose pages state their prefix."""
    app = FastAPI()
    app.mount("/static", StaticFiles(packages=[("skyclass.apps.monitor", "static")]))

    @app.get("/{name}")
    def page(request: Request, name: str) -> PlainTextResponse:
        return PlainTextResponse(f"{name} below {request.scope['root_path']}")

    @app.websocket("/events")
    async def events(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("ready")
        await socket.close()

    return app


@pytest.mark.parametrize("sent", ["", "/sky"], ids=["stripped", "passed on"])
def test_the_prefix_may_be_stripped_or_passed_on(sent: str) -> None:
    client = TestClient(PathPrefix(make_app(), "/sky"))
    assert client.get(f"{sent}/spectroscopic").text == "spectroscopic below /sky"
    assert client.get(f"{sent}/static/monitor.css").status_code == 200
    with client.websocket_connect(f"{sent}/events") as socket:
        assert socket.receive_text() == "ready"


def test_a_path_that_begins_like_the_prefix_is_not_below_it() -> None:
    client = TestClient(PathPrefix(make_app(), "/sky"))
    assert client.get("/skyline").text == "skyline below /sky"


def test_the_probe_port_serves_health_and_metrics_only() -> None:
    client = TestClient(ProbePort(make_app(), PROBE_PORT), base_url=f"http://pod:{PROBE_PORT}")
    assert [client.get(path).status_code for path in ("/healthz", "/metrics")] == [200, 200]
    for path in ("/", "/spectroscopic", "/static/monitor.css", "/metrics/", "//metrics"):
        assert client.get(path).status_code == 404, path
    events = f"ws://pod:{PROBE_PORT}/events"
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(events):
        pass


def test_other_ports_serve_everything() -> None:
    client = TestClient(ProbePort(make_app(), PROBE_PORT), base_url="http://pod:9000")
    assert client.get("/spectroscopic").status_code == 200
    with client.websocket_connect("/events") as socket:
        assert socket.receive_text() == "ready"


def test_a_page_is_healthy_while_all_of_its_threads_wait() -> None:
    app = make_fastapi("a page")
    began, release = threading.Semaphore(0), threading.Event()

    @app.get("/slow")
    def wait() -> None:
        began.release()
        release.wait()

    with TestClient(app) as client, ThreadPoolExecutor(THREADS) as visitors:
        for _ in range(THREADS):
            visitors.submit(client.get, "/slow")
        for _ in range(THREADS):
            began.acquire()
        health = threading.Thread(target=client.get, args=("/healthz",), daemon=True)
        health.start()
        health.join(TIMEOUT_SECONDS)
        is_healthy = not health.is_alive()
        release.set()
    assert is_healthy


def test_a_port_in_use_is_one_error_that_names_it() -> None:
    with bind(LOOPBACK, 0) as other:
        port = other.getsockname()[1]
        other.listen()
        with pytest.raises(ServingError, match=f"cannot listen on {LOOPBACK}, port {port} .*use"):
            run(make_app(), Address(port))


def serve(port: int, probe_port: int) -> None:
    run(make_app(), Address(port, root_path="/sky", probe_port=probe_port))


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """The ports of a running server: of the application, and for probes."""
    port, probe_port = find_free_ports(2)
    process = fork_server.Process(target=serve, args=(port, probe_port))
    process.start()
    try:
        yield port, probe_port
    finally:
        process.terminate()
        process.join()


@pytest.mark.slow
def test_an_idle_connection_stays_open(ports: tuple[int, int]) -> None:
    port, _ = ports
    assert poll(lambda: get_status(port, "/sky/spectroscopic") == 200, timeout_seconds=60)
    with closing(HTTPConnection(LOOPBACK, port)) as connection:
        connection.request("GET", "/sky/spectroscopic")
        connection.getresponse().read()
        readable, _, _ = select.select([connection.sock], [], [], IDLE_SECONDS)
        assert not readable, "the server has closed the connection"


def get_status(port: int, path: str) -> int:
    """Return the status of a GET request; 0 if nothing listens."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}{path}", timeout=10) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code
    except URLError:
        return 0


def test_a_running_server_has_both_ports(ports: tuple[int, int]) -> None:
    port, probe_port = ports
    assert poll(lambda: get_status(probe_port, "/healthz") == 200, timeout_seconds=60)
    assert get_status(port, "/sky/spectroscopic") == 200
    assert get_status(probe_port, "/sky/spectroscopic") == 404
