"""Errors whose text is meant for a person, and how foreign error texts are shortened."""

import errno
import os
import tempfile

_MAX_MESSAGE_CHARACTERS = 200

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_TEMPORARY_FOLDER = "No usable temporary directory"
"""Of `tempfile`, if it cannot write to any of its folders, for example because they are full."""


class SkyclassError(Exception):
    """Base class of all expected failures.

    The message is one line, *what failed: the offending value; what to do*. The command line
    prints it without a traceback and exits with status 1.
    """


class CatalogError(SkyclassError):
    """A source of observations cannot be read, or its rows cannot be interpreted."""


class ValidationError(CatalogError):
    """Rows violate the expectations."""


class StoreError(SkyclassError):
    """The object store rejected a request or is unreachable."""


class NewerFormatError(SkyclassError):
    """Something was stored by a newer version of skyclass, in a format unknown to this one."""


class ReleaseError(SkyclassError):
    """A release is missing, incomplete or differs from its manifest."""


class ReleaseNotFoundError(ReleaseError):
    """No release, or more than one, begins with the given characters."""


class ClusterError(SkyclassError):
    """The Kubernetes API rejected a request or is unreachable."""


class PromotionError(SkyclassError):
    """A release did not become champion; the previous champion is still served."""


class TrainingError(SkyclassError):
    """A training set is unusable, or a run of the pipeline failed."""


class ServingError(SkyclassError):
    """A server cannot start, or the predictor is unreachable."""


class MonitoringError(SkyclassError):
    """A monitoring window cannot be evaluated."""


class NotificationError(SkyclassError):
    """A channel is malformed, or did not accept a message; the text has no secrets of its URL."""


def is_disk_full(error: OSError) -> bool:
    """Return whether a write failed because a disk, quota or limit of file sizes is exhausted."""
    return error.errno in _DISK_FULL or _has_no_temporary_folder(error)


def describe_full_disk(error: OSError) -> str:
    """Return the message for a failed write for which `is_disk_full` is true."""
    folder = tempfile.tempdir or os.environ.get("TMPDIR", "/tmp")  # noqa: S108 - only named
    file = error.filename or "a temporary file"
    reason = error.strerror if _has_no_temporary_folder(error) else os.strerror(error.errno or 0)
    return f"cannot write {file} ({reason}): free space in {folder}, or set TMPDIR to another disk"


def _has_no_temporary_folder(error: OSError) -> bool:
    return str(error.strerror).startswith(_NO_TEMPORARY_FOLDER)


def one_line(error: object, max_characters: int = _MAX_MESSAGE_CHARACTERS) -> str:
    """Return the text of an error on one line, truncated.

    Args:
        error: An exception, or any text.
        max_characters: Length at which the text is truncated and marked with an ellipsis.
    """
    text = " ".join(str(error).split())
    return text if len(text) <= max_characters else f"{text[: max_characters - 1]}…"
