"""An HTTP proxy in front of an S3 server that injects faults of the object store."""

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.managers import BaseManager
from socket import SHUT_RDWR
from typing import cast
from urllib.parse import unquote, urlsplit

from tests.support.processes import fork_server

SLOW_SECONDS = 5.0

_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
_HOP_HEADERS = ("connection", "content-length", "transfer-encoding")


class Effect(StrEnum):
    """What happens to a request, as the evidence of its fault."""

    UNAVAILABLE = "was answered with 503"
    DELAYED = f"was answered after {SLOW_SECONDS:.0f} s"
    TRUNCATED = "was answered with half of the object"
    LOST = "was done, and its acknowledgement was lost"
    DOWN_DURING = "reached the store with half of its body, which then went down"
    DOWN_BEFORE = "found that the store had gone down"


@dataclass(frozen=True)
class Fault:
    """An effect, and the requests that it has.

    Attributes:
        effect: The effect.
        method: HTTP method of the requests; empty for all.
        path: Regular expression that is found in their path, with the query and without escapes.
        first: Number of matching requests that pass before.
        times: Number of requests that it has then.
        per_object: Whether requests are counted for each object or for all together.
    """

    effect: Effect
    method: str = ""
    path: str = ""
    first: int = 0
    times: int = 1
    per_object: bool = False


class FaultProxy:
    """Forwards requests to an S3 server, with faults; refuses connections while it is down."""

    def __init__(self, target_url: str) -> None:
        """Create a proxy that is down.

        Args:
            target_url: URL of the S3 server.
        """
        self._target = urlsplit(target_url)
        self._fault: Fault | None = None
        self._requests: Counter[str] = Counter()
        self._evidence: list[str] = []
        self._is_up = False
        self._lock = threading.Lock()
        with _Server(("127.0.0.1", 0), self) as reserved:
            self._port = reserved.server_port

    def get_url(self) -> str:
        """Return the URL, which stays the same."""
        return f"http://127.0.0.1:{self._port}"

    def is_up(self) -> bool:
        """Return whether it accepts connections."""
        return self._is_up

    def fire(self, evidence: str) -> None:
        """Record an injection."""
        self._evidence.append(evidence)

    def list_evidence(self) -> list[str]:
        """Return what was recorded of each injection."""
        return self._evidence

    def start(self) -> None:
        """Accept connections, without a fault."""
        self.inject(None)
        self._server = _Server(("127.0.0.1", self._port), self)
        self._is_up = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, and close those that are open with their next request."""
        with self._lock:
            was_up, self._is_up = self._is_up, False
        if was_up:
            self._server.shutdown()
            self._server.server_close()

    def inject(self, fault: Fault | None) -> None:
        """Replace the fault."""
        with self._lock:
            self._fault = fault
            self._requests.clear()

    def choose_effect(self, method: str, path: str) -> Effect | None:
        """Count a request, and return what happens to it."""
        path = unquote(path)
        with self._lock:
            fault = self._fault
            if not fault or fault.method not in ("", method) or not re.search(fault.path, path):
                return None
            counted = path.partition("?")[0] if fault.per_object else ""
            self._requests[counted] += 1
            is_hit = fault.first < self._requests[counted] <= fault.first + fault.times
            return fault.effect if is_hit else None

    def connect(self) -> HTTPConnection:
        """Return a connection to the S3 server."""
        return HTTPConnection(self._target.hostname or "", self._target.port, timeout=60)


class _Manager(BaseManager):
    pass


_Manager.register("FaultProxy", FaultProxy)


@contextmanager
def run_fault_proxy(target_url: str) -> Iterator[FaultProxy]:
    """Run a proxy, which is up, in a process of its own.

    In the process of a job it would not be scheduled: delta-rs holds Python's lock while it waits
    for some responses.
    """
    with _Manager(ctx=fork_server) as manager:
        proxy = cast(FaultProxy, getattr(manager, "FaultProxy")(target_url))  # noqa: B009
        proxy.start()
        yield proxy


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], proxy: FaultProxy) -> None:
        super().__init__(address, _Handler)
        self.proxy = proxy

    def handle_error(self, *_: object) -> None:
        """Ignore clients that close their connection, as they do after a timeout."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are written separately
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._upstream = self.server.proxy.connect()

    def finish(self) -> None:
        self._upstream.close()
        with suppress(OSError):
            super().finish()

    def log_message(self, *_: object) -> None:
        pass

    def _handle(self) -> None:
        proxy = self.server.proxy
        if not proxy.is_up():
            self._cut()
            return
        effect = proxy.choose_effect(self.command, self.path)
        request = f"{self.command} {self.path}"
        length = int(self.headers["Content-Length"] or 0)
        if effect is Effect.UNAVAILABLE:
            self.rfile.read(length)
            proxy.fire(f"{request} {effect}")
            self._respond(503, [("Content-Type", "application/xml")], _SLOW_DOWN)
            return
        if effect in (Effect.DOWN_BEFORE, Effect.DOWN_DURING):
            if effect is Effect.DOWN_DURING:
                self._send(self.rfile.read(length // 2))
                self._upstream.close()
            proxy.fire(f"{request} {effect}")
            proxy.stop()
            self._cut()
            return
        self._send(self.rfile.read(length))
        response = self._upstream.getresponse()
        data = response.read()
        if effect is Effect.LOST:
            proxy.fire(f"{request} {effect}")
            self._cut()
            return
        if effect is Effect.DELAYED:
            time.sleep(SLOW_SECONDS)  # the fault itself
            proxy.fire(f"{request} {effect}")
        is_truncated = effect is Effect.TRUNCATED and response.status in (200, 206) and data
        sent = data[: len(data) // 2] if is_truncated else data
        self._respond(response.status, response.getheaders(), sent, len(data))
        if is_truncated:
            proxy.fire(f"{request} {effect}")
            self._cut()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle

    def _send(self, body: bytes) -> None:
        """Forward the request; the signature covers the Host header that the client has sent."""
        self._upstream.putrequest(
            self.command, self.path, skip_host=True, skip_accept_encoding=True
        )
        for name, value in self.headers.items():
            self._upstream.putheader(name, value)
        self._upstream.endheaders(body or None)

    def _respond(
        self, status: int, headers: list[tuple[str, str]], body: bytes, length: int | None = None
    ) -> None:
        self.send_response_only(status)
        given = dict(headers)
        for name, value in given.items():
            if name.lower() not in _HOP_HEADERS:
                self.send_header(name, value)
        is_head = self.command == "HEAD"
        sent_length = given.get("Content-Length", "0") if is_head else str(length or len(body))
        if status != 204:
            self.send_header("Content-Length", sent_length)
        self.end_headers()
        if not is_head:
            self.wfile.write(body)

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(SHUT_RDWR)
