"""KServe's model server with our application, at addresses of our choice.

It answers from its first moment, so that probes can tell a server that loads from one that hangs.
"""

import asyncio
import socket
from collections.abc import Callable

import grpc
from kserve import ModelServer
from starlette.types import ASGIApp
from uvicorn import Config, Server

from skyclass.serving.endpoints import Endpoints
from skyclass.serving.grpc_service import make_server
from skyclass.serving.predictor import Predictor
from skyclass.serving.routes import Routes
from skyclass.serving.settings import ServingSettings

_KEEP_ALIVE_SECONDS = 65
"""Longer than a proxy keeps an idle connection (60 s), so that it is the one to close it."""


class PredictorServer(ModelServer):  # type: ignore[misc] # kserve publishes no types
    """Serves one predictor over HTTP, on a socket that is bound already, and over gRPC.

    KServe's own would bind to all interfaces, and know no free port.
    """

    def __init__(
        self,
        predictor: Predictor,
        settings: ServingSettings,
        listener: socket.socket,
        grpc_address: tuple[str, int],
    ) -> None:
        """Prepare the server.

        Args:
            predictor: What is served.
            settings: Limits on requests, and how long those in flight may take to end.
            listener: Where, over HTTP.
            grpc_address: Where, over gRPC.
        """
        super().__init__(
            enable_grpc=False, enable_latency_logging=False, grace_period=settings.drain_seconds
        )
        self.register_model(predictor)
        self._listener = listener
        self._server = _Server(
            Endpoints(predictor, settings, Routes(predictor, settings).application()),
            lambda: make_server(predictor, settings, grpc_address),
            self.grace_period,
        )
        self._failure: BaseException | None = None

    def start(self, listening: Callable[[], object]) -> None:
        """Serve until SIGTERM, SIGINT or `give_up`, then answer the requests in flight.

        Args:
            listening: Called once the server answers.
        """
        self._server.listening = listening
        self._server.run(sockets=[self._listener])
        if self._failure is not None:
            raise self._failure

    def give_up(self, failure: BaseException) -> None:
        """Have `start` end and raise a failure; any thread may call this."""
        self._failure = failure
        self._server.should_exit = True


class _Server(Server):
    """Speaks gRPC as well, says when it listens, and ends without ending the process."""

    listening: Callable[[], object]

    def __init__(
        self,
        application: ASGIApp,
        make_grpc_server: Callable[[], grpc.aio.Server],
        drain_seconds: int,
    ) -> None:
        super().__init__(
            Config(
                application,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=drain_seconds,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            )
        )
        self._make_grpc_server = make_grpc_server  # which wants to be made by the running loop
        self._drain_seconds = drain_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._grpc_server = self._make_grpc_server()
        await self._grpc_server.start()
        self.listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.gather(super().shutdown(sockets), self._grpc_server.stop(self._drain_seconds))

    def handle_exit(self, sig: int, frame: object) -> None:
        # The original notes the signal, to raise it again once the requests in flight have been
        # answered; that would end the process before the prediction log is written.
        self.should_exit = True
