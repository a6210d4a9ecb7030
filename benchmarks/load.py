"""Load generators for HTTP and gRPC with little overhead of their own."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import grpc
import numpy as np
import numpy.typing as npt

_CHUNK = 1 << 20
_INFER = "/inference.GRPCInferenceService/ModelInfer"


class Request(Protocol):
    """A request that is sent repeatedly."""

    def connect(self) -> AbstractContextManager[Callable[[], None]]:
        """Open a connection; its function sends the request and reads the response."""


@dataclass(frozen=True)
class HttpRequest:
    """A POST of JSON, with HTTP/1.1."""

    url: str
    body: bytes

    @property
    def message(self) -> bytes:
        """The bytes on the wire."""
        parts = urlsplit(self.url)
        head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body

    @contextmanager
    def connect(self) -> Iterator[Callable[[], None]]:
        """Open a TCP connection."""
        message, parts = self.message, urlsplit(self.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def send() -> None:
                connection.sendall(message)
                _read_response(connection)

            yield send


@dataclass(frozen=True)
class GrpcRequest:
    """A ModelInfer request; the response is not decoded."""

    port: int
    message: bytes

    @contextmanager
    def connect(self) -> Iterator[Callable[[], None]]:
        """Open a channel."""
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            infer = channel.unary_unary(_INFER)
            yield lambda: infer(self.message)


def generate_load(request: Request, clients: int, seconds: float) -> npt.NDArray[np.float64]:
    """Send requests from concurrent clients for some time; return the latencies in seconds."""
    until = time.perf_counter() + seconds
    workers = [_Client(request, until) for _ in range(clients)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return np.array([latency for worker in workers for latency in worker.seconds])


class _Client(threading.Thread):
    """One connection."""

    def __init__(self, request: Request, until: float) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._request = request
        self._until = until

    def run(self) -> None:
        with self._request.connect() as send:
            while True:
                started = time.perf_counter()
                send()
                ended = time.perf_counter()
                self.seconds.append(ended - started)
                if ended > self._until:
                    return


def _read_response(connection: socket.socket) -> None:
    data = connection.recv(_CHUNK)
    while b"\r\n\r\n" not in data:
        data += connection.recv(_CHUNK)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"the server returned an error: {data[:300]!r}")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    left = int(fields[b"content-length"]) - len(body)
    while left > 0:
        left -= len(connection.recv(_CHUNK))
