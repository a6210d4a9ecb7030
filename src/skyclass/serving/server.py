"""Serves a model: finds a place to listen, then answers there with one process or more.

Start it with OMP_NUM_THREADS=1, as the command line does: with more threads than free cores a
scikit-learn model takes seconds instead of milliseconds.
"""

import socket

from skyclass.errors import ServingError
from skyclass.serving.settings import load_serving_settings
from skyclass.serving.task import Task
from skyclass.settings import Settings
from skyclass.survey.features import Mode

LOOPBACK = "127.0.0.1"


def serve(
    settings: Settings,
    mode: Mode,
    release: str | None = None,
    port: int | None = None,
    workers: int = 1,
    host: str = LOOPBACK,
    grpc_port: int | None = None,
) -> None:
    """Serve a model until SIGTERM or SIGINT, then answer what is in flight and write the log.

    Args:
        settings: Where the object store and the home folder are.
        mode: Which model.
        release: The folder of a release, or its address (s3://…/releases/<mode>/<id>/). When not
            given, the champion is served and followed: a promotion changes the answers.
        port: Where to listen for HTTP; a free port when not given.
        workers: How many processes answer, each with a model of its own.
        host: Which interface to listen on.
        grpc_port: Where to listen for gRPC; a free port when not given.

    Raises:
        ReleaseError: There is no release, or it cannot be served.
        ServingError: A port is taken, or a setting is malformed.
        StoreError: The object store failed before the server was ready.
    """
    options = load_serving_settings()
    with _bind(host, port) as listener, _reserve(host, grpc_port) as reserved:
        grpc_address = reserved.getsockname()[:2]
        task = Task(settings, options, mode, release, listener, grpc_address)
        if workers == 1:
            from skyclass.serving.worker import work

            work(task, wait_for_others=lambda: None)
        else:
            from skyclass.serving.workers import run_workers

            run_workers(workers, task)


def _bind(host: str, port: int | None) -> socket.socket:
    """Bind a socket, so that a port that is taken is known before a model is loaded."""
    listener = _new_socket(host)
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


def _reserve(host: str, port: int | None) -> socket.socket:
    """Bind a port that the gRPC servers of all workers share: they open sockets of their own."""
    with _bind(host, port) as found:
        port = found.getsockname()[1]
    reserved = _new_socket(host)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind((host, port))
    return reserved


def _new_socket(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
