"""Iterators that prepare the next items in the background."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def prefetch(items: Iterator[T], ahead: int = 1) -> Iterator[T]:
    """Compute the next items in a thread while the caller works on the current one.

    Args:
        items: They must not be None.
        ahead: Number of items that are prepared; one more is in memory.
    """
    pool = ThreadPoolExecutor(1)
    try:
        upcoming = deque(pool.submit(next, items, None) for _ in range(ahead))
        while (item := upcoming.popleft().result()) is not None:
            upcoming.append(pool.submit(next, items, None))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)


def map_ahead(
    function: Callable[[S], T], items: Iterable[S], threads: int, ahead: int
) -> Iterator[T]:
    """Apply a function to each item in threads, and yield the results in order.

    At most `ahead` results wait for the caller.
    """
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[T]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
