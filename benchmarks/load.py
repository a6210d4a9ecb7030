"""Load on an HTTP server, from a client that costs as little as Python allows."""

import socket
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Question:
    """A request that is sent again and again."""

    url: str
    body: bytes

    @property
    def message(self) -> bytes:
        """The request as it goes over the wire."""
        parts = urlsplit(self.url)
        head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


def put_load(question: Question, clients: int, seconds: float) -> npt.NDArray[np.float64]:
    """Have clients ask for some time, each waiting for its answers; say how long each took."""
    until = time.perf_counter() + seconds
    callers = [_Caller(question, until) for _ in range(clients)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return np.array([taken for caller in callers for taken in caller.seconds])


class _Caller(threading.Thread):
    """One connection."""

    def __init__(self, question: Question, until: float) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._message = question.message
        self._until = until
        parts = urlsplit(question.url)
        self._address = (parts.hostname, parts.port)

    def run(self) -> None:
        with socket.create_connection(self._address, timeout=60) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                begun = time.perf_counter()
                connection.sendall(self._message)
                _read_answer(connection)
                ended = time.perf_counter()
                self.seconds.append(ended - begun)
                if ended > self._until:
                    return


def _read_answer(connection: socket.socket) -> None:
    data = connection.recv(_CHUNK)
    while b"\r\n\r\n" not in data:
        data += connection.recv(_CHUNK)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"no answer but {data[:300]!r}")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    left = int(fields[b"content-length"]) - len(body)
    while left > 0:
        left -= len(connection.recv(_CHUNK))
