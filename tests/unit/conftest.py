"""Web servers with scripted responses or none, and a URL without a server."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.web import Response, Web, serve, unresponsive_url

__all__ = ["unresponsive_url"]


@pytest.fixture
def web() -> Iterator[Web]:
    """A web server that responds with 404 until a test sets other responses."""
    with serve(Response(status=404)) as web:
        yield web


@pytest.fixture
def unreachable_url() -> str:
    """A URL whose port accepts no connections."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
