"""Iterators that prepare the next items in the background."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

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
