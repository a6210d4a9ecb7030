"""TCP ports of the loopback interface."""

import socket
from contextlib import ExitStack

from skyclass.errors import SkyclassError
from skyclass.sockets import LOOPBACK


def find_free_ports(count: int) -> list[int]:
    """Return distinct free ports; another process may take one before it is used."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def check_port_is_free(port: int) -> None:
    """Check that a server can listen on a port.

    Raises:
        SkyclassError: Another process listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise SkyclassError(
                f"port {port} is in use: choose another, or omit it for a free one"
            ) from error
