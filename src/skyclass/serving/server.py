"""The server process: KServe's model server at one address of our choice, and what runs beside it.

Start it with OMP_NUM_THREADS=1, as the command line does: with more threads than free cores a
scikit-learn model takes seconds instead of milliseconds.
"""

import gc
import logging
import socket

from kserve import ModelServer
from starlette.applications import Starlette
from uvicorn import Config, Server

from skyclass.errors import ServingError
from skyclass.features import Mode
from skyclass.serving.following import Follower, load_champion
from skyclass.serving.loading import fetch_address, load
from skyclass.serving.prediction_log import PredictionLog
from skyclass.serving.predictor import Predictor
from skyclass.serving.routes import Routes
from skyclass.serving.settings import load_serving_settings
from skyclass.settings import Settings
from skyclass.store.releases import Registry
from skyclass.store.s3 import ObjectStore

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"

_KEEP_ALIVE_SECONDS = 65
"""Longer than a proxy keeps an idle connection (60 s), so that it is the one to close it."""


def serve(
    settings: Settings,
    mode: Mode,
    release: str | None = None,
    port: int | None = None,
    workers: int = 1,
    host: str = LOOPBACK,
) -> None:
    """Serve a model until SIGTERM or SIGINT, then answer what is in flight and write the log.

    Args:
        settings: Where the object store and the home folder are.
        mode: Which model.
        release: The folder of a release, or its address (s3://…/releases/<mode>/<id>/). When not
            given, the champion is served and followed: a promotion changes the answers.
        port: Where to listen; a free port when not given.
        workers: How many processes answer; only one can, so far.
        host: Which interface to listen on.

    Raises:
        ReleaseError: There is no release, or it cannot be served.
        ServingError: The port is taken, or a setting is malformed.
        StoreError: The object store failed before the server was ready.
    """
    if workers != 1:
        raise ServingError(f"{workers} workers: one server has one; start more servers instead")
    options = load_serving_settings()
    registry = Registry(ObjectStore(settings))
    with _listen(host, port) as listener:
        if release is None:
            model = load_champion(registry, mode, settings.home)
        else:
            model = load(fetch_address(release, settings), mode, options.expected_release)
        log = PredictionLog(ObjectStore(settings), options)
        predictor = Predictor(model, log, options)
        follower = Follower(
            registry, settings.home, options.follow_seconds, model, predictor.change_to
        )
        application = Routes(predictor, options.max_body_bytes).application()
        server = PredictorServer(application, listener, options.drain_seconds)
        log.start()
        if release is None:
            follower.start()
        # What is alive now stays alive. Without this, an answer with many rows sets off a garbage
        # collection that looks through all of it, for 120 ms in which nobody is answered.
        gc.collect()
        gc.freeze()
        try:
            server.start([predictor])
        finally:
            follower.close()
            log.close()


class PredictorServer(ModelServer):  # type: ignore[misc] # kserve publishes no types
    """KServe's model server with our application, on a socket that is bound already.

    KServe's own would bind to all interfaces, and know no free port.
    """

    def __init__(self, application: Starlette, listener: socket.socket, drain_seconds: int) -> None:
        """Prepare the server.

        Args:
            application: What is served.
            listener: Where.
            drain_seconds: How long requests in flight may take to end.
        """
        super().__init__(
            enable_grpc=False, enable_latency_logging=False, grace_period=drain_seconds
        )
        self._application = application
        self._listener = listener

    def start(self, models: list[Predictor]) -> None:
        """Serve until SIGTERM or SIGINT; requests in flight are answered before it returns."""
        self._register_and_check_atleast_one_model_is_ready(models)
        config = Config(
            self._application,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=self.grace_period,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        address = "http://{}:{}".format(*self._listener.getsockname()[:2])
        release = models[0].model.release.id
        _Uvicorn(config, f"{models[0].name} is ready at {address} with release {release}").run(
            sockets=[self._listener]
        )


class _Uvicorn(Server):
    """Says when it is ready, and ends without ending the process."""

    def __init__(self, config: Config, announcement: str) -> None:
        super().__init__(config)
        self._announcement = announcement

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        logger.info(self._announcement)

    def handle_exit(self, sig: int, frame: object) -> None:
        # The original notes the signal, to raise it again once the requests in flight have been
        # answered; that would end the process before the prediction log is written.
        self.should_exit = True


def _listen(host: str, port: int | None) -> socket.socket:
    """Bind a socket, so that a port that is taken is known before a model is loaded."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port or 0))
    except OSError as error:
        listener.close()
        raise ServingError(
            f"cannot listen at {host}, port {port or 'any'} ({error.strerror}): "
            "choose another port, or none for a free one"
        ) from error
    return listener
