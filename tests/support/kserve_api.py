"""A Kubernetes API with KServe, as far as promotions use it, that goes down at a chosen request."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from skyclass.promotion.inference_service import REVISION, SOURCE
from skyclass.survey.features import Mode
from tests.support.kube_api import make_template, write_kubeconfig

_UNUSED_ADDRESS = "http://127.0.0.1:9"
"""Address of every predictor: promotions outside the cluster reach it through the API server."""

Answer = tuple[int, Any]


class KServeApi:
    """One namespace. KServe rolls out an InferenceService at once.

    Attributes:
        requests: Method and path of every request so far.
        is_down: Whether connections are closed without an answer.
        is_failing: Whether the container of every new pod fails.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.is_down = self.is_failing = False
        self._fails_at: tuple[int, bool] | None = None
        self._services: dict[str, dict[str, Any]] = {}
        self._failing: set[str] = set()  # revisions
        self._version = 0

    def fail_at(self, request: int, takes_effect: bool) -> None:
        """Go down at a request.

        Args:
            request: Number of the request, from now and from 0.
            takes_effect: Whether it is executed, and only its answer is lost.
        """
        self._fails_at = len(self.requests) + request, takes_effect

    def answer(self, method: str, path: str, body: bytes) -> Answer | None:
        """Return status and object; None if the connection is closed."""
        number = len(self.requests)
        self.requests.append(f"{method} {path.partition('?')[0]}")
        if self._fails_at and number == self._fails_at[0]:
            self.is_down = True
            if self._fails_at[1]:
                self._execute(method, path, body)
        return None if self.is_down else self._execute(method, path, body)

    def _execute(self, method: str, path: str, body: bytes) -> Answer:
        name = path.partition("?")[0].rpartition("/")[2]
        if "/configmaps/" in path:
            templates = {f"{mode}.yaml": json.dumps(make_template(mode, None)) for mode in Mode}
            return 200, {"data": templates}
        if "/pods" in path:
            return 200, {"items": [self._make_pod(each) for each in self._services.values()]}
        if "/proxy/" in path:
            return 200, {"versions": [_get_uri(self._services[name]).split("/")[-2]]}
        if method == "PATCH":
            return self._apply(name, json.loads(body))
        found = self._services.get(name)
        return (200, found) if found else (404, {"message": "not found"})

    def _apply(self, name: str, service: dict[str, Any]) -> Answer:
        metadata, current = service["metadata"], self._services.get(name)
        expected = metadata.get("resourceVersion")
        if expected and current and current["metadata"]["resourceVersion"] != expected:
            return 409, {"message": "the object has been modified"}
        self._version += 1
        metadata |= {"uid": name, "resourceVersion": str(self._version)}
        ready = {"type": "Ready", "status": "True"}
        service["status"] = {"conditions": [ready], "address": {"url": _UNUSED_ADDRESS}}
        self._services[name] = service
        if self.is_failing:
            self._failing.add(metadata["annotations"][REVISION])
        return 200, service

    def _make_pod(self, service: dict[str, Any]) -> dict[str, Any]:
        revision = service["metadata"]["annotations"][REVISION]
        fails = revision in self._failing
        ended = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
        container: dict[str, Any] = {
            "name": "kserve-container",
            "restartCount": 2 if fails else 0,
            "state": ended if fails else {"running": {}},
        }
        return {
            "metadata": {
                "name": f"pod-{revision}",
                "annotations": {SOURCE: _get_uri(service), REVISION: revision},
            },
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": str(not fails)}],
                "containerStatuses": [container],
            },
        }


def _get_uri(service: dict[str, Any]) -> str:
    return str(service["spec"]["predictor"]["model"]["storageUri"])


@contextmanager
def serve_api(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[KServeApi]:
    """Serve the API on a free loopback port, and set KUBECONFIG."""
    api = KServeApi()

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = api.answer(self.command, self.path, body)
            if answer is None:
                self.close_connection = True
                return
            status, found = answer
            data = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PATCH = do_DELETE = respond

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            write_kubeconfig(f"http://127.0.0.1:{server.server_port}", folder, patch)
            yield api
        finally:
            server.shutdown()
            thread.join()
