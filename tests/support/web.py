"""A web server that says what it is told to say, and one that never says anything."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass(frozen=True)
class Answer:
    """What the server says; a length other than the body's tears the answer.

    Status 0 drops the connection without a word.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


@dataclass
class Web:
    """The server, as a test sees it.

    Attributes:
        url: Its address.
        answers: What it says, in turn, or what finds that out from the path; the last answer is
            repeated.
        requests: Method and path of every request so far.
        bodies: What came with each of them.
    """

    url: str
    answers: list[Answer | Callable[[str], Answer]]
    requests: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


@contextmanager
def serve(*answers: Answer | Callable[[str], Answer]) -> Iterator[Web]:
    """Run the server on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            web.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            said = web.answers[min(len(web.requests), len(web.answers) - 1)]
            web.requests.append(f"{self.command} {self.path}")
            said = said(self.path) if callable(said) else said
            if said.status == 0:
                self.close_connection = True
                return
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(said.length or len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        do_GET = do_POST = do_PUT = do_HEAD = answer

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        web = Web(f"http://127.0.0.1:{server.server_port}", list(answers))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield web
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def unanswered() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
