"""Records of messages, in the reports bucket: `notifications/<id of the event>.json`.

A record is written before the first message of an event is sent, and again with the channels that
accepted it. So a message is sent at least once: again after a failure, and twice only if the
process is killed between the two.
"""

from collections.abc import Iterator
from datetime import datetime

from pydantic import ValidationError

from skyclass.notifications.event import Event
from skyclass.registry.documents import StoredDocument
from skyclass.storage.formats import Format
from skyclass.storage.s3 import ObjectMissingError, ObjectStore

NOTIFICATIONS_PREFIX = "notifications"


class Record(StoredDocument):
    """An event, and which channels have accepted its message.

    Attributes:
        event: The event.
        delivered: Time of delivery (UTC) by the name of the channel, such as `2-slack`.
        attempted_at: Time of the last attempt (UTC).
    """

    stored_format = Format("record of a message", "0.2.0")

    event: Event
    delivered: dict[str, datetime]
    attempted_at: datetime


class RecordStore:
    """Reads and writes records."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._bucket = store.settings.reports_bucket

    def find(self, event_id: str) -> Record | None:
        """Return the record of an event; None if it has none, or a malformed one."""
        return self._read(_make_key(event_id))

    def list_since(self, time: datetime) -> Iterator[Record]:
        """Return the records that were written since a time, in the order of their ids."""
        for each in self._store.list_objects(self._bucket, f"{NOTIFICATIONS_PREFIX}/"):
            if each.written >= time and (record := self._read(each.key)):
                yield record

    def save(self, record: Record) -> None:
        """Write a record, replacing an earlier one."""
        key = _make_key(record.event.id)
        self._store.put(self._bucket, key, record.to_bytes(), "application/json")

    def _read(self, key: str) -> Record | None:
        try:
            data = self._store.get(self._bucket, key)
            return Record.from_bytes(data, key)
        except (ObjectMissingError, ValidationError):
            return None


def _make_key(event_id: str) -> str:
    return f"{NOTIFICATIONS_PREFIX}/{event_id}.json"
