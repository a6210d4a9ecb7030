"""Documents about windows, in the reports bucket below `drift/<mode>/<end of the window>/`."""

import logging
from datetime import UTC, datetime
from typing import ClassVar, TypeVar

from pydantic import ValidationError

from skyclass.registry.documents import StoredDocument
from skyclass.storage.s3 import ObjectMissingError, ObjectStore
from skyclass.survey.features import Mode

logger = logging.getLogger(__name__)

DRIFT_PREFIX = "drift"
REPORT = "report.html"
SNAPSHOT = "snapshot.json.gz"
SAMPLE = "sample.parquet"


class WindowDocument(StoredDocument):
    """A JSON document about one window.

    Attributes:
        file_name: Name of all documents of this kind.
        mode: The mode of the release that predicted.
        window_end: End of the window (UTC), excluded.
    """

    file_name: ClassVar[str]

    mode: Mode
    window_end: datetime


D = TypeVar("D", bound=WindowDocument)


def window_prefix(mode: Mode, window_end: datetime) -> str:
    """Return the prefix of everything stored about a window."""
    return f"{DRIFT_PREFIX}/{mode}/{window_end.astimezone(UTC):%Y%m%dT%H%M%SZ}/"


def save_document(store: ObjectStore, document: WindowDocument) -> None:
    """Write a document, replacing an earlier one about the same window."""
    key = window_prefix(document.mode, document.window_end) + document.file_name
    store.put(store.settings.reports_bucket, key, document.to_bytes(), "application/json")


def list_documents(store: ObjectStore, kind: type[D], mode: Mode) -> list[str]:
    """Return the keys of the documents of one kind, oldest window first."""
    # Prefixes contain the time, so the order of the keys is the order of the windows.
    keys = store.list_keys(store.settings.reports_bucket, f"{DRIFT_PREFIX}/{mode}/")
    return [key for key in keys if key.endswith(f"/{kind.file_name}")]


def load_documents(
    store: ObjectStore,
    kind: type[D],
    mode: Mode,
    last: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[D]:
    """Load the documents of one kind, oldest window first.

    A malformed document is skipped and logged.

    Args:
        store: The object store.
        kind: Class of the documents.
        mode: Mode of the windows.
        last: Maximum number of windows, newest kept; None for all.
        since: Earliest end of a window; None for all.
        until: Latest end of a window; None for all.

    Raises:
        NewerFormatError: A newer version of skyclass has written one of them.
    """
    bucket, first = store.settings.reports_bucket, window_prefix(mode, since) if since else ""
    newest = window_prefix(mode, until) + kind.file_name if until else ""
    keys = [
        key
        for key in list_documents(store, kind, mode)
        if key >= first and not (newest and key > newest)
    ]
    documents = []
    for key in keys[-last:] if last else keys:
        try:
            data = store.get(bucket, key)
            documents.append(kind.from_bytes(data, key))
        except ObjectMissingError:
            continue  # it has expired since it was listed
        except ValidationError as error:
            logger.warning("skipped %s: not a valid %s", key, error.title)
    return documents
