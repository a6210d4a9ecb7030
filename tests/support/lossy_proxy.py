"""A TCP proxy that loses acknowledgements: a PUT succeeds, and its client sees an error."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

CHUNK_BYTES = 1 << 16


class LossyProxy(socketserver.ThreadingTCPServer):
    """Forwards connections, and cuts them instead of forwarding the response to a PUT.

    Attributes:
        to_lose: Number of responses that are still to be lost.
        lost: Number of responses lost so far.
    """

    daemon_threads = True

    def __init__(self, target_url: str, to_lose: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.target = urlsplit(target_url)
        self.to_lose = to_lose
        self.lost = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Connection(socketserver.BaseRequestHandler):
    server: LossyProxy

    def handle(self) -> None:
        target = self.server.target.hostname, self.server.target.port
        with socket.create_connection(target) as upstream:
            self._is_put = False
            sender = threading.Thread(target=self._forward_requests, args=(upstream,), daemon=True)
            sender.start()
            with suppress(ConnectionError):
                self._forward_responses(upstream)
            for each in (self.request, upstream):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            sender.join()

    def _forward_requests(self, upstream: socket.socket) -> None:
        with suppress(OSError):
            while data := self.request.recv(CHUNK_BYTES):
                if data.split(b" ", 1)[0] in (b"GET", b"HEAD", b"PUT"):
                    self._is_put = data.startswith(b"PUT")
                upstream.sendall(data)
            upstream.shutdown(socket.SHUT_WR)

    def _forward_responses(self, upstream: socket.socket) -> None:
        while data := upstream.recv(CHUNK_BYTES):
            if self._is_put and self.server.lost < self.server.to_lose:
                self.server.lost += 1
                return
            self.request.sendall(data)


@contextmanager
def losing_acknowledgements(target_url: str, number: int) -> Iterator[LossyProxy]:
    """Run a proxy that loses the first responses to PUT requests."""
    with LossyProxy(target_url, number) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
