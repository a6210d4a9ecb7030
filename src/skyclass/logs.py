"""Log configuration of the project's programs."""

import logging
import os
import re
import select
import stat
import sys
import threading
from types import TracebackType

from skyclass.errors import SkyclassError, describe_full_disk, is_disk_full

_STDOUT = 1
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

    An expected error ends the process with `error: …` as its last line, without a traceback. The
    process also ends when nobody reads its output any more: KFP's local runner leaves its step
    running if it is interrupted.
    """
    start_logging()
    sys.excepthook = _report_uncaught
    if stat.S_ISFIFO(os.fstat(_STDOUT).st_mode):
        threading.Thread(target=_end_with_reader, daemon=True).start()


def find_error(log: str) -> str | None:
    """Return the message with which a failed step ended, or None if its log has none."""
    messages = _ERROR_LINE.findall(log)
    return messages[-1].strip() if messages else None


def _end_with_reader() -> None:
    """End the process when the other end of the pipe is closed."""
    output = select.poll()
    output.register(_STDOUT, 0)  # errors are always reported
    output.poll()
    os._exit(1)


def _report_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if isinstance(error, SkyclassError):
        sys.stderr.write(f"error: {error}\n")
    elif isinstance(error, OSError) and is_disk_full(error):
        sys.stderr.write(f"error: {describe_full_disk(error)}\n")
    else:
        sys.__excepthook__(kind, error, traceback)
