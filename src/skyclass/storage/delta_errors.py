"""Errors of delta-rs, which are texts, as errors that say what to do."""

import re

from skyclass.errors import StoreError, one_line
from skyclass.storage.s3 import s3_error, unreachable_error

_MISSING_VERSION_SIGNS = (
    "specified end version",  # later than the newest version
    "No table metadata or protocol found",  # the log no longer reaches back to it
    "<Code>NoSuchKey</Code>",  # a data file was vacuumed
)
_OBJECT_MISSING = re.compile(r"Object at location .* not found", re.DOTALL)


class VersionMissingError(StoreError):
    """The table does not have a version, or no longer has all of its files."""


def explain(report: str, uri: str, endpoint: str) -> StoreError:
    """Return the error for an error text of delta-rs.

    Args:
        report: The text.
        uri: Address of the table.
        endpoint: URL of the object store.
    """
    if any(sign in report for sign in _MISSING_VERSION_SIGNS):
        return VersionMissingError(
            f"{uri} has no such version, or its files were vacuumed: read another one"
        )
    return explain_object(report, uri, endpoint)


def explain_object(report: str, uri: str, endpoint: str) -> StoreError:
    """Return the error for an error text of delta-rs about an object.

    Args:
        report: The text.
        uri: URI of the object.
        endpoint: URL of the object store.
    """
    code = re.search(r"<Code>(\w+)</Code>", report)
    if code:
        return s3_error(code[1], uri)
    if _OBJECT_MISSING.search(report):  # a server that names no code
        return s3_error("NoSuchKey", uri)
    if is_connection_error(report):
        return unreachable_error(endpoint, "no connection")
    return StoreError(f"{uri} failed ({shorten_report(report)}): retry; committed rows are kept")


def shorten_report(report: str) -> str:
    """Return an error text of delta-rs on one line, without its coloured arrows."""
    return one_line(report.replace("\x1b[31m↳\x1b[0m", ""))


def is_connection_error(report: str) -> bool:
    """Return whether an error text of delta-rs or of Arrow's S3 client is a connection error."""
    signs = ("error sending request", "HTTP error", "response body", "NETWORK_CONNECTION")
    return any(sign in report for sign in signs)
