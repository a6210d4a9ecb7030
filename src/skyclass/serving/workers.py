"""Several processes that answer at one address, and end together."""

import multiprocessing
import os
import signal
import tempfile
from multiprocessing import connection
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier

from skyclass.errors import ServingError, SkyclassError
from skyclass.logs import start_logging
from skyclass.serving.task import Task

MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder where the workers count together; it must be set before they count."""


def run_workers(count: int, task: Task) -> None:
    """Have several processes serve until SIGTERM or SIGINT.

    All become ready at the same moment. The end of one ends the others, so that whoever runs the
    server sees a failure and can start it again.

    Raises:
        ServingError: A worker failed; the message is its own.
    """
    # A fresh interpreter for each: neither gRPC nor ONNX Runtime promises to outlive a fork.
    context = multiprocessing.get_context("spawn")
    ready, failures = context.Barrier(count), context.SimpleQueue()
    task.settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="metrics-", dir=task.settings.home) as folder:
        os.environ[MULTIPROCESS_FOLDER] = folder
        workers = [
            context.Process(target=_work, args=(task, ready, failures)) for _ in range(count)
        ]
        ending = False

        def end(*_: object) -> None:
            nonlocal ending
            if not ending:  # a second SIGTERM would end a worker before it has written its log
                ending = True
                for worker in workers:
                    worker.terminate()

        for worker in workers:
            worker.start()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        connection.wait([worker.sentinel for worker in workers])
        end()
        for worker in workers:
            worker.join()
    if not failures.empty():
        raise ServingError(failures.get())
    lost = [worker.exitcode for worker in workers if worker.exitcode]
    if lost:
        raise ServingError(f"a worker ended with status {lost[0]}: see the log, then start again")


def _work(task: Task, ready: Barrier, failures: "SimpleQueue[str]") -> None:
    from skyclass.serving.worker import work  # takes a second, which only a worker needs

    start_logging()
    try:
        work(task, ready.wait)
    except SkyclassError as error:
        failures.put(str(error))
