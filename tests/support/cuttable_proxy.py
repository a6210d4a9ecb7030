"""A TCP proxy whose connections a test cuts, whatever they carry."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum

_CHUNK_BYTES = 1 << 16


class State(StrEnum):
    """What a proxy does with data."""

    OPEN = "forwards both directions"
    LOSING_ANSWERS = "forwards requests, and closes the connection instead of an answer"
    CUT = "closes every connection"


class CuttableProxy(socketserver.ThreadingTCPServer):
    """Forwards connections to a server.

    Attributes:
        state: What it does with data from now on, also on connections that are open.
        cut: Number of connections that it has closed.
    """

    daemon_threads = True

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.target = target
        self.state = State.OPEN
        self.cut = 0

    @property
    def port(self) -> int:
        """Local port that it listens on."""
        return int(self.server_address[1])


class _Connection(socketserver.BaseRequestHandler):
    server: CuttableProxy

    def handle(self) -> None:
        if self.server.state is State.CUT:
            self.server.cut += 1
            return
        with socket.create_connection(self.server.target) as upstream:
            answers = threading.Thread(
                target=self._forward, args=(upstream, self.request, State.OPEN), daemon=True
            )
            answers.start()
            self._forward(self.request, upstream, State.OPEN, State.LOSING_ANSWERS)
            answers.join()

    def _forward(self, source: socket.socket, target: socket.socket, *states: State) -> None:
        """Forward data while the proxy is in one of these states, then close both sides."""
        with suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                if self.server.state not in states:
                    self.server.cut += 1
                    break
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def run_proxy(target: tuple[str, int]) -> Iterator[CuttableProxy]:
    """Run a proxy on a free loopback port."""
    with CuttableProxy(target) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.state = State.CUT
            proxy.shutdown()
            thread.join()
