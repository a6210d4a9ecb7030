"""Servers that fail, for what a good server never does."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.web import Response, Web, serve


@pytest.fixture
def web() -> Iterator[Web]:
    """A web server that has nothing, until a test says otherwise."""
    with serve(Response(status=404)) as web:
        yield web


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def no_server() -> str:
    """An address at which nothing listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
