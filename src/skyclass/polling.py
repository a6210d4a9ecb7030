"""Polling: call until a condition holds, for a bounded time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def poll(
    condition: Callable[[], T], timeout_seconds: float, interval_seconds: float = 0.1
) -> T | None:
    """Call a condition until it returns something true.

    Args:
        condition: Called at least once, then every `interval_seconds`; its exceptions propagate.
        timeout_seconds: Time after which polling ends.
        interval_seconds: Time between two calls.

    Returns:
        The first true result, or None after the timeout.
    """
    deadline = time.monotonic() + timeout_seconds
    while not (result := condition()):
        if time.monotonic() >= deadline:
            return None
        time.sleep(interval_seconds)
    return result
