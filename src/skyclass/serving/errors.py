"""Errors that a client receives, and how they quote values."""

from typing import Any

from skyclass.errors import SkyclassError
from skyclass.survey.features import Mode, model_name

CLIENT_CLOSED_REQUEST = 499
"""Status of a request whose client did not wait for the response, as nginx logs it."""

_MAX_QUOTED_CHARACTERS = 20


class RequestError(SkyclassError):
    """A request that is rejected.

    Attributes:
        status: HTTP status.
        message: One line that names the row and the field at fault, where there are some.
        headers: HTTP headers that go with the status.
    """

    def __init__(
        self, status: int, message: str, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


def model_not_found(mode: Mode) -> RequestError:
    """Return the error for an unknown path or model name, without echoing it."""
    return RequestError(404, f"not found: the only model is {model_name(mode)}")


def quote(text: str) -> str:
    """Quote and truncate text that a client sent."""
    if len(text) > _MAX_QUOTED_CHARACTERS:
        text = f"{text[:_MAX_QUOTED_CHARACTERS]}…"
    return repr(text)


def describe(value: Any) -> str:
    """Describe a JSON value in an error message.

    Examples:
        >>> describe(None), describe(True), describe("20.1"), describe([1]), describe(5)
        ('null', 'true', "text ('20.1')", 'a list', 'a number (5)')
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f"text ({quote(value)})"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return f"a number ({value:g})"
