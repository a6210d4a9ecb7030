"""Real child processes, for what becomes of the work when one of them is killed."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any

# Children are forked from a process that has imported the library and done nothing else: they
# start at once, and share neither thread nor connection nor lock with the tests.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    ["skyclass.ingest.job", "skyclass.registry.releases", "skyclass.scoring.score"]
)

KILLED = -signal.SIGKILL


class Fuse:
    """Kills its process at the given one of the moments that it is told of, counted from 0."""

    def __init__(self, moment: int) -> None:
        self._left = moment

    def burn(self) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1

    def around(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """The same step, with a moment to die before it and another after it."""

        def deadly(*arguments: Any, **named: Any) -> Any:
            self.burn()
            result = step(*arguments, **named)
            self.burn()
            return result

        return deadly


def exit_code(work: Callable[..., None], *arguments: Any) -> int | None:
    """Do the work in a child process and say how that ended."""
    child = processes.Process(target=work, args=arguments)
    child.start()
    child.join(60)
    return child.exitcode


def at_once(work: Callable[..., None], *calls: tuple[Any, ...]) -> list[Any]:
    """Do the work in as many child processes at the same time, and say what they put out.

    Args:
        work: Waits at the barrier and puts out one outcome: its last two arguments.
        calls: The other arguments of each child.
    """
    start, outcomes = processes.Barrier(len(calls)), processes.SimpleQueue()
    children = [processes.Process(target=work, args=(*call, start, outcomes)) for call in calls]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    return [outcomes.get() for _ in children]
