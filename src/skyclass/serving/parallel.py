"""Predicts a large request on all cores that are idle.

A forest takes milliseconds for a thousand rows, while the other cores may have nothing to do. With
as many requests as cores, each is predicted by one thread: parts would only cost time.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from skyclass.registry.models import Engine, Probabilities

PART_ROWS = 250
"""Least rows of a part: about a millisecond of work, ten times what its handover costs."""

PARTS_PER_THREAD = 4
"""Most parts of a request, so that a thread which becomes idle late still finds one."""


class ParallelEngine:
    """Computes probabilities in parts, which idle threads take from the caller.

    The engine must release the GIL, as ONNX Runtime does.
    """

    def __init__(
        self, engine: Engine, threads: ThreadPoolExecutor, count_idle: Callable[[], int]
    ) -> None:
        """Create an engine.

        Args:
            engine: Computes the probabilities of a part.
            threads: Their idle threads help. The caller may be one of them: it never waits for a
                part that no thread has taken.
            count_idle: Returns the number of idle threads, which may be less than zero.
        """
        self._engine = engine
        self._threads = threads
        self._count_idle = count_idle

    def __call__(self, features: npt.NDArray[np.float32], /) -> Probabilities:
        """Map features of shape (n, k) to probabilities of shape (n, 3)."""
        most = len(features) // PART_ROWS
        helpers = min(self._count_idle(), most - 1)
        if helpers < 1:
            return self._engine(features)
        parts = np.array_split(features, min(most, PARTS_PER_THREAD * (helpers + 1)))
        results = [np.empty(0)] * len(parts)
        waiting = iter(enumerate(parts))  # its next() is atomic

        def work() -> None:
            for number, part in waiting:
                results[number] = self._engine(part)

        futures = [self._threads.submit(work) for _ in range(helpers)]
        work()
        for future in futures:
            if not future.cancel():  # it has begun: its last part may not be done yet
                future.result()
        return np.concatenate(results)
