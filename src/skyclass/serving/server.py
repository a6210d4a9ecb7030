"""The predictor process: HTTP and gRPC servers, the model loader and the prediction log.

Set OMP_NUM_THREADS=1, as the command line does: with more threads than free cores a scikit-learn
model takes seconds instead of milliseconds.
"""

import asyncio
import ctypes
import gc
import logging
import socket
import threading
from collections.abc import Callable

import grpc
from starlette.types import ASGIApp
from uvicorn import Config, Server

from skyclass.http import KEEP_ALIVE_SECONDS
from skyclass.promotion.local import LocalChampionStore
from skyclass.serving.app import PredictionApp
from skyclass.serving.http_protocol import HttpProtocol
from skyclass.serving.loading import load_release, resolve_release
from skyclass.serving.log_writer import PredictionLogWriter
from skyclass.serving.predictor import Predictor
from skyclass.serving.protocol.grpc import make_server
from skyclass.serving.reload import ChampionWatcher
from skyclass.serving.routes import make_routes
from skyclass.serving.settings import ServingSettings
from skyclass.settings import Settings, load
from skyclass.sockets import LOOPBACK, bind, make_socket
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode

logger = logging.getLogger(__name__)


def serve(
    settings: Settings,
    mode: Mode,
    release: str | None = None,
    port: int | None = None,
    host: str = LOOPBACK,
    grpc_port: int | None = None,
) -> None:
    """Serve a model until SIGTERM or SIGINT, then finish requests in flight and flush the log.

    The server listens before the model is loaded, so that liveness probes succeed meanwhile.

    Args:
        settings: Object store and home folder.
        mode: Mode of the model.
        release: Folder or URI of a release (s3://<bucket>/releases/<mode>/<id>/); None serves the
            champion and hot-reloads the next one after a promotion.
        port: HTTP port; None chooses a free port.
        host: Interface to listen on.
        grpc_port: gRPC port; None chooses a free port.

    Raises:
        ReleaseError: There is no release, or it cannot be served.
        ServingError: A port is in use.
        SkyclassError: A setting is malformed.
        StoreError: The object store failed before the server was ready.
    """
    options = load(ServingSettings)
    log = PredictionLogWriter(ObjectStore(settings), options)
    predictor = Predictor(mode, log)
    closing = threading.Event()
    failures: list[BaseException] = []

    with bind(host, port or 0) as listener, _reserve(host, grpc_port) as reserved:
        grpc_address = reserved.getsockname()[:2]

        def load_models() -> None:
            champions = LocalChampionStore(ObjectStore(settings))
            watcher = ChampionWatcher(champions, mode, settings.home, options)
            try:
                if release is None:
                    model = watcher.load_champion()
                else:
                    model = load_release(
                        resolve_release(release, settings),
                        *(mode, options.expected_release, options.public_key),
                    )
            except BaseException as error:  # raised again by the main thread
                failures.append(error)
                server.should_exit = True
                return
            _free_memory()
            predictor.set_model(model)
            logger.info(
                "%s is ready at http://%s:%d and grpc://%s:%d with release %s",
                *(predictor.name, *listener.getsockname()[:2], *grpc_address, model.release.id),
            )
            if release is None:
                watcher.watch(predictor.set_model, closing)

        loader = threading.Thread(target=load_models, name="models", daemon=True)
        server = _Server(
            PredictionApp(predictor, options, make_routes(predictor, options)),
            lambda: make_server(predictor, options, grpc_address),
            options.drain_seconds,
            on_listening=loader.start,
        )
        log.start()
        try:
            server.run(sockets=[listener])
        finally:
            closing.set()
            log.close()
    if failures:
        raise failures[0]


class _Server(Server):
    """A uvicorn server that serves gRPC as well, and whose shutdown does not end the process."""

    def __init__(
        self,
        application: ASGIApp,
        make_grpc_server: Callable[[], grpc.aio.Server],
        drain_seconds: int,
        on_listening: Callable[[], object],
    ) -> None:
        super().__init__(
            Config(
                application,
                http=HttpProtocol,
                ws="none",
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=drain_seconds,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
            )
        )
        self._make_grpc_server = make_grpc_server  # grpc.aio needs the running event loop
        self._drain_seconds = drain_seconds
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._grpc_server = self._make_grpc_server()
        await self._grpc_server.start()
        self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.gather(super().shutdown(sockets), self._grpc_server.stop(self._drain_seconds))

    def handle_exit(self, sig: int, frame: object) -> None:
        # uvicorn would raise the signal again after the shutdown, which would end the process
        # before the prediction log is flushed.
        self.should_exit = True


def _free_memory() -> None:
    """Free what loading has left behind, before the first request."""
    # Objects that live now live as long as the process. Frozen, they are not scanned by the
    # garbage collections that large requests trigger, which would block all requests for 120 ms.
    gc.collect()
    gc.freeze()
    # ONNX Runtime frees half of the memory that it needs to load a forest, but the allocator keeps
    # it until it is trimmed. Only the GNU C library has this function.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _reserve(host: str, port: int | None) -> socket.socket:
    """Reserve a port for gRPC, which opens its own socket and shares the port (SO_REUSEPORT)."""
    with bind(host, port or 0) as found:
        port = found.getsockname()[1]
    reserved = make_socket(host)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind((host, port))
    return reserved
