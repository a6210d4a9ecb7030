"""Sockets that servers listen on."""

import socket

from skyclass.errors import ServingError

LOOPBACK = "127.0.0.1"
ALL_INTERFACES = "0.0.0.0"  # noqa: S104 - only what a pod serves to its cluster listens there


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound, so that a port in use is reported before a server starts.

    Args:
        host: Address of the interface, IPv4 or IPv6, or its name.
        port: The port; 0 for a free one.

    Raises:
        ServingError: The port is in use, or the address is not one of this machine.
    """
    bound = make_socket(host)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ServingError(
            f"cannot listen on {host}, port {port or 'any'} ({error.strerror}): "
            "choose another port or address"
        ) from error
    return bound


def make_socket(host: str) -> socket.socket:
    """Return a TCP socket of the family of an address."""
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
