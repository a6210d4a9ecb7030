"""Waits for an object store that is coming up, or being provisioned."""

import logging
import time
from collections.abc import Callable

from skyclass.errors import StoreError

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0


def wait_until_ready(ask: Callable[[], object], seconds: float) -> None:
    """Ask again until the store answers; each new reason for waiting is told once.

    Args:
        ask: Does what the store must be ready for.
        seconds: For how long at most.

    Raises:
        StoreError: It was not ready in time; the message is the store's last one.
    """
    deadline, said = time.monotonic() + seconds, ""
    while True:
        try:
            ask()
        except StoreError as error:
            if time.monotonic() > deadline:
                raise
            if str(error) != said:
                said = str(error)
                logger.info("waiting until the store is ready: %s", said)
            time.sleep(PAUSE_SECONDS)
        else:
            return
