"""Layout of a text table: encoding, separator, header, and lines above the first row."""

import codecs
import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from skyclass.errors import CatalogError

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_COMMENT = "#"
"""First character of lines above the header, such as SkyServer's `#Table1`."""

_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_MIN_SEPARATORS = 4
"""Separators between the columns of the smallest table that can be classified."""

_MAX_HEADER_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class Layout:
    """Layout of a text table.

    Attributes:
        encoding: Name of a Python codec.
        separator: The character between fields.
        header: Column names as written.
        lines: Number of lines before the first row.
    """

    encoding: str
    separator: str
    header: tuple[str, ...]
    lines: int


def detect_layout(open_file: Callable[[], Any], encoding: str | None, name: str) -> Layout:
    """Detect the layout of a text table.

    Args:
        open_file: Opens the decompressed bytes.
        encoding: The declared encoding; None for a byte order mark or UTF-8.
        name: Name of the file in messages.

    Raises:
        CatalogError: There is no header, or its separator is unknown.
        UnicodeError: The header has another encoding.
    """
    if encoding is None:
        with open_file() as file:
            start = file.read(len(codecs.BOM_UTF8))
        marks = (codec for mark, codec in _BYTE_ORDER_MARKS.items() if start.startswith(mark))
        encoding = next(marks, "utf-8")
    with io.TextIOWrapper(open_file(), encoding, newline="") as text:
        lines = 1
        while (line := text.readline(_MAX_HEADER_CHARACTERS)).startswith((_COMMENT, "\r", "\n")):
            lines += 1
    if not line:
        raise CatalogError(f"{name}: the file is empty: check where it came from")
    separator, header = max(
        ((each, next(csv.reader([line], delimiter=each))) for each in _SEPARATORS),
        key=lambda found: len(found[1]),
    )
    others = re.findall(r"[^\w.\"'-]+", line.strip())
    if len(header) == 1 and len(others) >= _MIN_SEPARATORS:
        known = ", ".join(_SEPARATORS.values())
        raise CatalogError(
            f"{name}: the columns are separated by {others[0]!r}: separate them by one of {known}"
        )
    return Layout(encoding, separator, tuple(column.strip() for column in header), lines)
