"""A web server or proxy with scripted responses, and a server that never responds."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass(frozen=True)
class Response:
    """A scripted response; a `length` other than that of the body truncates it.

    Status 0 closes the connection without a response.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


@dataclass
class Web:
    """The scripted responses of a server and the requests that it received.

    Attributes:
        url: URL of the server.
        responses: Responses in order, or functions that make one from the path; the last one is
            repeated.
        requests: Method and path of every request so far; a proxy receives the whole URL as path.
        bodies: Body of each of them.
        headers: Headers of each of them.
    """

    url: str
    responses: list[Response | Callable[[str], Response]]
    requests: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)


@contextmanager
def serve(
    *responses: Response | Callable[[str], Response], tls: ssl.SSLContext | None = None
) -> Iterator[Web]:
    """Run the server on a free loopback port, with TLS if there is a context."""

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            web.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            response = web.responses[min(len(web.requests), len(web.responses) - 1)]
            web.headers.append(self.headers)
            web.requests.append(f"{self.command} {self.path}")
            response = response(self.path) if callable(response) else response
            if response.status == 0:
                self.close_connection = True
                return
            self.send_response(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(response.length or len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

        do_GET = do_POST = do_PUT = do_HEAD = do_CONNECT = respond

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        web = Web(f"http://127.0.0.1:{server.server_port}", list(responses))
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
            web.url = f"https://localhost:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield web
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def unresponsive_url() -> Iterator[str]:
    """URL of a server that accepts connections and never responds."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
