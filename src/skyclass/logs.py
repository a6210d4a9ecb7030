"""Logging, set up once by whatever is started as a process of its own."""

import logging
import sys


def start_logging(level: int = logging.INFO) -> None:
    """Send the project's log lines to standard error, one line each.

    Args:
        level: The least severe level of the project's own lines; libraries only warn.
    """
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("skyclass").setLevel(level)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it warns of every retry
