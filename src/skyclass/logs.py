"""Log configuration of the project's programs."""

import logging
import re
import sys
from types import TracebackType

from skyclass.errors import SkyclassError

_ERROR_LINE = re.compile(r"^[ \t]*error: (.+)$", re.MULTILINE)


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


def start_step() -> None:
    """Start logging in a pipeline step, and end a failed step with one line.

    An expected error ends the process with `error: …` as its last line, without a traceback.
    """
    start_logging()
    sys.excepthook = _report_uncaught


def find_error(log: str) -> str | None:
    """Return the message with which a failed step ended, or None if its log has none."""
    messages = _ERROR_LINE.findall(log)
    return messages[-1].strip() if messages else None


def _report_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if isinstance(error, SkyclassError):
        sys.stderr.write(f"error: {error}\n")
    else:
        sys.__excepthook__(kind, error, traceback)
