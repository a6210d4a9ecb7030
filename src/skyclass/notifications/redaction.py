"""Keeps the secrets in URLs of channels out of logs and errors."""

import logging
import re
import threading
from urllib.parse import unquote

_MIN_SECRET_CHARACTERS = 3


class LogFilter(logging.Filter):
    """Keeps a library's records, which contain parts of URLs, from all logs.

    Warnings are collected for the thread that logged them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._collected = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            self._collected.messages = [*self._read(), record.getMessage()]
        return False

    def collect(self) -> str:
        """Return the warnings of this thread since the last call, as one text."""
        messages, self._collected.messages = self._read(), []
        return " ".join(messages)

    def _read(self) -> list[str]:
        return getattr(self._collected, "messages", [])


def redact(text: str, url: str) -> str:
    """Replace every part of a URL in a text, except its scheme.

    Examples:
        >>> redact("403 for user bob with 4711x", "json://bob:4711x@example.org/hook")
        '403 for user *** with ***'
    """
    rest = url.partition("://")[2] or url
    parts = {rest, *re.split(r"[/:@?&=#,;+]", rest)}
    parts |= {unquote(part) for part in parts}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _MIN_SECRET_CHARACTERS:
            text = text.replace(part, "***")
    return text
