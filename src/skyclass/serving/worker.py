"""One process that answers: a server, the thread that brings its models, and the prediction log."""

import ctypes
import gc
import logging
import threading
from collections.abc import Callable

from skyclass.registry.models import LoadedModel
from skyclass.registry.releases import Registry
from skyclass.serving.following import Follower, load_champion
from skyclass.serving.loading import fetch_address, load
from skyclass.serving.model_server import PredictorServer
from skyclass.serving.prediction_log import PredictionLog
from skyclass.serving.predictor import Predictor
from skyclass.serving.task import Task
from skyclass.storage.s3 import ObjectStore

logger = logging.getLogger(__name__)


def work(task: Task, wait_for_others: Callable[[], object]) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is in flight and write the log.

    Args:
        task: What is served, and where.
        wait_for_others: Called between loading the model and being ready, in a thread.

    Raises:
        ReleaseError: There is no release, or it cannot be served.
        StoreError: The object store failed before the server was ready.
    """
    log = PredictionLog(ObjectStore(task.settings), task.options)
    predictor = Predictor(task.mode, log, task.options)
    server = PredictorServer(predictor, task.options, task.listener, task.grpc_address)
    closing = threading.Event()

    def bring_models() -> None:
        registry = Registry(ObjectStore(task.settings))
        try:
            model = _load(task, registry)
        except BaseException as error:  # whatever it is, there is nothing to serve
            server.give_up(error)
            return
        _settle()
        predictor.change_to(model)
        wait_for_others()  # whoever is told that the server is ready may meet any of them
        predictor.ready = True
        _announce(task, predictor)
        if task.release is None:
            home = task.settings.home
            Follower(registry, home, task.options, model, predictor.change_to).follow(closing)

    log.start()
    models = threading.Thread(target=bring_models, name="models", daemon=True)
    try:
        server.start(listening=models.start)
    finally:
        closing.set()
        log.close()


def _load(task: Task, registry: Registry) -> LoadedModel:
    options = task.options
    if task.release is None:
        return load_champion(registry, task.mode, task.settings.home, options.public_key)
    folder = fetch_address(task.release, task.settings)
    return load(folder, task.mode, options.expected_release, options.public_key)


def _settle() -> None:
    """Tidy up after loading, while nobody waits for an answer yet."""
    # What is alive now stays alive. Without this, an answer with many rows sets off a garbage
    # collection that looks through all of it, for 120 ms in which nobody is answered.
    gc.collect()
    gc.freeze()
    # Half of what ONNX Runtime needs to load a forest is free now, but still the process's.
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of the GNU C library alone
    if give_back is not None:
        give_back(0)


def _announce(task: Task, predictor: Predictor) -> None:
    host, port = task.listener.getsockname()[:2]
    logger.info(
        "%s is ready at http://%s:%d and grpc://%s:%d with release %s",
        *(predictor.name, host, port, *task.grpc_address, predictor.model.release.id),
    )
