"""SkyServer's responses: tables, and the errors that it reports in other forms.

An error has one of four forms: an HTTP error with a JSON body; status 200 with a table that has the
single column `error_message`, also when throttled; a web page, during maintenance; and a truncated
table.
"""

import csv
import io
import json
import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pacsv

from skyclass.errors import one_line
from skyclass.tables.files.numbers import NULL_TEXTS

_COMMENT = "#"
"""First character of the line above the header, such as `#Table1`."""
_NO_ROWS = "no objects have been found"
"""Body of an empty result on older services; newer ones send the header alone."""
_ERROR_COLUMN = "error_message"


@dataclass(frozen=True)
class ResponseError:
    """The reason why a response is not a complete table.

    Attributes:
        reason: Description of the response.
        is_temporary: Whether a retry may succeed.
    """

    reason: str
    is_temporary: bool


def find_error(status: int, body: bytes) -> ResponseError | None:
    """Return the error in a response, or None for a complete table, which may be empty.

    Args:
        status: HTTP status.
        body: Body of the response.
    """
    text = body.decode(errors="replace").strip()
    is_temporary = status == 429 or status >= 500 or status == 200
    if text.startswith("<"):
        title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        detail = f" ({_clean(title[1])})" if title else ""
        return ResponseError(f"status {status} and a web page{detail}", is_temporary)
    if status != 200 or text.startswith("{"):
        return ResponseError(f"status {status}: {_read_json_message(text)}", is_temporary)
    if _has_no_rows(text):
        return None
    lines = [line for line in text.splitlines() if line and not line.startswith(_COMMENT)]
    if lines and lines[0].strip('" ').lower() == _ERROR_COLUMN:
        return ResponseError(f"the error: {_clean(' '.join(lines[1:]))}", is_temporary)
    widths = {len(fields) for fields in csv.reader(lines)}
    if not body.endswith(b"\n") or len(widths) != 1:
        return ResponseError("a truncated table", is_temporary)
    return None


def parse_table(body: bytes) -> pa.Table:
    """Parse a response without error. All columns are text, since ids exceed 64-bit integers."""
    text = body.decode()
    if _has_no_rows(text):
        return pa.table({})
    lines = [line for line in text.splitlines(keepends=True) if not line.startswith(_COMMENT)]
    (header,) = csv.reader(lines[:1])
    return pacsv.read_csv(
        io.BytesIO("".join(lines).encode()),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            strings_can_be_null=True,
            null_values=list(NULL_TEXTS),
        ),
    )


def _has_no_rows(text: str) -> bool:
    return _NO_ROWS in text[:200].lower()


def _read_json_message(text: str) -> str:
    try:
        return _clean(f"{json.loads(text)['ErrorMessage']}")
    except (ValueError, KeyError, TypeError):
        return _clean(text) or "no message"


def _clean(text: str) -> str:
    return one_line(text.replace('"', ""))
