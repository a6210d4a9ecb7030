"""The server of the web pages: where they are served, their probes and path prefixes."""

import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from skyclass.http import KEEP_ALIVE_SECONDS
from skyclass.sockets import ALL_INTERFACES, LOOPBACK, bind

PROBED_PATHS = frozenset({"/healthz", "/metrics"})
"""Paths that kubelet and Prometheus request."""


@dataclass(frozen=True)
class Address:
    """Where a page is served.

    Attributes:
        port: Port to listen on.
        host: Address of the network interface to listen on.
        root_path: Path prefix that a reverse proxy adds to all URLs, or nothing.
        probe_port: Port of all interfaces for `PROBED_PATHS` only; None for none.
        has_login: Whether an oauth2-proxy, and nothing else, connects to `host`.
    """

    port: int
    host: str = LOOPBACK
    root_path: str = ""
    probe_port: int | None = None
    has_login: bool = False

    @property
    def url(self) -> str:
        """URL of the page, without a proxy."""
        return f"http://{self.host}:{self.port}{self.root_path}/"


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


def make_fastapi(title: str) -> FastAPI:
    """Return an application that serves `/healthz`, and no pages about its API."""
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None)

    # Not in a thread: all of them may wait for an object store that is down.
    @app.api_route("/healthz", methods=["GET", "HEAD"])
    async def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    return app


def make_sign_out_path(root_path: str) -> str:
    """Return the path with which oauth2-proxy signs out; the next login leads back to the page."""
    return f"{root_path}/oauth2/sign_out?rd={root_path}/"


def run(app: ASGIApp, address: Address, **settings: Any) -> None:
    """Serve an application until SIGTERM or SIGINT.

    Args:
        app: The application.
        address: Where it is served.
        settings: Further settings of uvicorn.

    Raises:
        ServingError: A port is in use.
    """
    app = PathPrefix(app, address.root_path)
    sockets = [bind(address.host, address.port)]
    if address.probe_port is not None:
        app = ProbePort(app, address.probe_port)
        sockets.append(bind(ALL_INTERFACES, address.probe_port))
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
