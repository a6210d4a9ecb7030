"""Child processes that are killed at a chosen point, or run concurrently."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any

# Children are forked from a server that has only imported the library. They start fast, and share
# no thread, connection or lock with the tests.
fork_server = multiprocessing.get_context("forkserver")
fork_server.set_forkserver_preload(
    [
        "skyclass.ingest.job",
        "skyclass.maintenance.job",
        "skyclass.monitoring.drift_job",
        "skyclass.registry.releases",
        "skyclass.scoring.score",
    ]
)

SIGKILL_EXIT_CODE = -signal.SIGKILL

_TIMEOUT_SECONDS = 240
"""A promotion, which waits for pods, may take minutes."""


class KillSwitch:
    """Kills its process at the given kill point.

    Each call of a wrapped function has two kill points, one before and one after it. They are
    counted from 0, across all functions that the switch wraps.
    """

    def __init__(self, kill_point: int) -> None:
        self._remaining = kill_point

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its two kill points."""

        def wrapped(*arguments: Any, **named: Any) -> Any:
            self._pass_kill_point()
            result = function(*arguments, **named)
            self._pass_kill_point()
            return result

        return wrapped

    def _pass_kill_point(self) -> None:
        if self._remaining == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._remaining -= 1


def run_in_child(function: Callable[..., None], *arguments: Any) -> int | None:
    """Call a function in a child process, and return the exit code of the process."""
    child = fork_server.Process(target=function, args=arguments)
    child.start()
    child.join(_TIMEOUT_SECONDS)
    return child.exitcode


def run_concurrently(function: Callable[..., None], *calls: tuple[Any, ...]) -> list[Any]:
    """Call a function in one child process per call, all at the same time.

    Args:
        function: Its last two arguments are a barrier, at which it waits before the work, and a
            queue, into which it puts one result.
        calls: The other arguments, for each child.

    Returns:
        The results, in the order in which the children finished.
    """
    start, results = fork_server.Barrier(len(calls)), fork_server.SimpleQueue()
    children = [
        fork_server.Process(target=function, args=(*call, start, results)) for call in calls
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(_TIMEOUT_SECONDS)
        assert child.exitcode == 0
    return [results.get() for _ in children]
