"""A server that accepts connections and never answers."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest


@pytest.fixture
def unanswered() -> Iterator[str]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
