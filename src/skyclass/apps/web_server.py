"""The HTTP server of the web applications."""

import sys
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from skyclass.http import KEEP_ALIVE_SECONDS

LOOPBACK = "127.0.0.1"
_ALL_INTERFACES = "0.0.0.0"  # noqa: S104 - kubelet and Prometheus connect to the pod's address
PROBED_PATHS = frozenset({"/healthz", "/metrics"})
"""Paths that kubelet and Prometheus request."""


class PathPrefix:
    """Serves an application below a path prefix, whether or not the proxy in front strips it.

    oauth2-proxy does not strip it, most ingress controllers can.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        """Wrap an application.

        Args:
            app: The application.
            prefix: The prefix, without a slash at the end.
        """
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a connection."""
        if scope["type"] in ("http", "websocket"):
            scope = {**scope, "root_path": self._prefix}
            if not f"{scope['path']}/".startswith(f"{self._prefix}/"):
                scope["path"] = self._prefix + scope["path"]
                scope["raw_path"] = self._prefix.encode() + scope["raw_path"]
        await self._app(scope, receive, send)


class ProbePort:
    """Serves `/healthz` and `/metrics` at one port, and nothing else there.

    Behind a login, the application listens on loopback, which kubelet and Prometheus cannot reach.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        """Wrap an application.

        Args:
            app: The application; it gets everything that arrives at other ports.
            port: The port.
        """
        self._app, self._port = app, port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a connection."""
        _, port = scope.get("server") or ("", None)
        if port != self._port or (scope["type"] == "http" and scope["path"] in PROBED_PATHS):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse("not found\n", 404)(scope, receive, send)
        else:
            await send({"type": "websocket.close"})


def make_sign_out_path(root_path: str) -> str:
    """Return the path with which oauth2-proxy signs out; the next login leads back to the page."""
    return f"{root_path}/oauth2/sign_out?rd={root_path}/"


def run(
    app: ASGIApp,
    host: str,
    port: int,
    root_path: str = "",
    probe_port: int | None = None,
    **settings: Any,
) -> None:
    """Serve an application until SIGTERM or SIGINT.

    Args:
        app: The application.
        host: Address of the network interface to listen on.
        port: Port to listen on.
        root_path: Path prefix that a reverse proxy adds to all URLs, or nothing.
        probe_port: Port of all interfaces for `/healthz` and `/metrics` only.
        settings: Further settings of uvicorn.
    """
    app = PathPrefix(app, root_path)
    addresses = [(host, port)]
    if probe_port is not None:
        app = ProbePort(app, probe_port)
        addresses.append((_ALL_INTERFACES, probe_port))
    sockets = [
        uvicorn.Config(app, *address, log_config=None).bind_socket() for address in addresses
    ]
    config = uvicorn.Config(
        app,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        **settings,
    )
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):
        server.run(sockets)
    if not server.started:
        sys.exit(1)
