"""An HTTP load generator with little overhead of its own."""

import socket
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Request:
    """A request that is sent repeatedly."""

    url: str
    body: bytes

    @property
    def message(self) -> bytes:
        """The request in its HTTP/1.1 form."""
        parts = urlsplit(self.url)
        head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


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
        self._message = request.message
        self._until = until
        parts = urlsplit(request.url)
        self._address = (parts.hostname, parts.port)

    def run(self) -> None:
        with socket.create_connection(self._address, timeout=60) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                started = time.perf_counter()
                connection.sendall(self._message)
                _read_response(connection)
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
