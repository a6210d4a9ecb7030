"""Waiting for an object store that is starting or being provisioned."""

import logging
from collections.abc import Callable

from skyclass.errors import StoreError
from skyclass.polling import poll

logger = logging.getLogger(__name__)

POLL_SECONDS = 2.0


def wait_until_ready(check: Callable[[], object], timeout_seconds: float) -> None:
    """Call a check until it succeeds. Each new error is logged once.

    Args:
        check: Raises StoreError while the store is not ready.
        timeout_seconds: Time after which the last error is raised.

    Raises:
        StoreError: The last error of the check.
    """
    last: StoreError | None = None

    def is_ready() -> bool:
        nonlocal last
        try:
            check()
        except StoreError as error:
            if str(error) != str(last):
                logger.info("waiting until the object store is ready: %s", error)
            last = error
            return False
        return True

    if not poll(is_ready, timeout_seconds, POLL_SECONDS) and last is not None:
        raise last
