"""What SkyServer says when it does not answer, told apart from an answer.

It refuses in four ways: an HTTP error with JSON; status 200 with a table of one column
`error_message`, which is also how it says that it is asked too often; a web page, while it is being
maintained; and an answer that ends too early.
"""

import csv
import io
import json
import re
from dataclasses import dataclass

import pandas as pd

_COMMENT = "#"
"""A line like `#Table1` stands above the header."""
_EMPTY = "no objects have been found"
"""How older releases say that there is no row; newer ones give the bare header."""
_ERROR_COLUMN = "error_message"
_LONGEST_REASON = 200


@dataclass(frozen=True)
class Refusal:
    """Why there is no answer.

    Attributes:
        reason: In words.
        temporary: Whether the same question may be answered later.
    """

    reason: str
    temporary: bool


def refusal(status: int, body: bytes) -> Refusal | None:
    """Find out whether something is no whole answer.

    Args:
        status: The HTTP status.
        body: What came with it.

    Returns:
        What is wrong with it; none for a table, which may be empty.
    """
    text = body.decode(errors="replace").strip()
    temporary = status == 429 or status >= 500 or status == 200
    if text.startswith("<"):
        title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        named = f" ({_line(title[1])})" if title else ""
        return Refusal(f"status {status} with a web page{named} instead of a table", temporary)
    if status != 200 or text.startswith("{"):
        return Refusal(f"status {status} with the error {_json_message(text)}", temporary)
    if _EMPTY in text[:200].lower():
        return None
    lines = [line for line in text.splitlines() if line and not line.startswith(_COMMENT)]
    if lines and lines[0].strip('" ').lower() == _ERROR_COLUMN:
        return Refusal(f"the error {_line(' '.join(lines[1:]))}", temporary)
    widths = {len(fields) for fields in csv.reader(lines)}
    if not body.endswith(b"\n") or len(widths) != 1:
        return Refusal("an answer that ends too early", temporary)
    return None


def read_table(body: bytes) -> pd.DataFrame:
    """Read an answer, all columns as text: ids exceed every signed number.

    Args:
        body: What `refusal` found nothing wrong with.
    """
    text = body.decode()
    if _EMPTY in text[:200].lower():
        return pd.DataFrame()
    return pd.read_csv(io.StringIO(text), dtype="string", comment=_COMMENT)


def _json_message(text: str) -> str:
    try:
        said = json.loads(text)
        return _line(f"{said['ErrorMessage']}")
    except (ValueError, KeyError, TypeError):
        return _line(text) or "that is not explained"


def _line(text: str) -> str:
    return " ".join(text.replace('"', "").split())[:_LONGEST_REASON]
