"""Log configuration of the project's programs."""

import logging
import sys


def start_logging(level: int = logging.INFO) -> None:
    """Log to standard error, one line per record.

    Args:
        level: Lowest level of the project's records; libraries log from WARNING.
    """
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("skyclass").setLevel(level)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it logs a warning for every retry
