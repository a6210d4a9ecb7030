"""Sends the messages about events: one message per event and channel."""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from skyclass.errors import NotificationError, SkyclassError
from skyclass.notifications.channels import Channel, make_channels
from skyclass.notifications.event import Event, render
from skyclass.notifications.records import Record, RecordStore
from skyclass.notifications.settings import NotificationSettings
from skyclass.settings import Settings, load
from skyclass.storage.s3 import ObjectStore

logger = logging.getLogger(__name__)

RETRY_PERIOD = timedelta(days=3)
"""Time after an event in which a message that was not accepted is sent again."""
ATTEMPT_PERIOD = timedelta(minutes=10)
"""Time that another process has to send its own message, before this one sends it, too."""


class Notifier:
    """Sends messages, and remembers which were accepted.

    After a failure, a channel gets no further message in this process, so that an unreachable one
    delays a job by one timeout only.

    Args:
        store: The object store, for the records.
        channels: Where messages are sent.
        timeout_seconds: Timeout of a message.
    """

    def __init__(
        self, store: ObjectStore, channels: Iterable[Channel], timeout_seconds: float
    ) -> None:
        self._records = RecordStore(store)
        self._namespace = store.settings.namespace
        self._channels = list(channels)
        self._timeout_seconds = timeout_seconds

    def notify(self, event: Event) -> list[NotificationError]:
        """Send the message about an event to the channels that have not accepted it yet.

        Args:
            event: The event.

        Returns:
            An error for each channel that did not accept the message now.

        Raises:
            StoreError: The record cannot be read or written; then no message was sent, or it is
                sent again.
        """
        record = self._records.find(event.id)
        return self._send(record or Record(event=event, delivered={}, attempted_at=event.time))

    def retry(self) -> list[NotificationError]:
        """Send the messages of the last days again that were not accepted by each channel.

        Returns:
            An error for each channel that did not accept a message now.

        Raises:
            StoreError: A record cannot be read or written.
        """
        now = datetime.now(UTC)
        return [
            error
            for record in self._records.list_since(now - RETRY_PERIOD)
            if record.event.time >= now - RETRY_PERIOD
            and record.attempted_at < now - ATTEMPT_PERIOD
            for error in self._send(record)
        ]

    def _send(self, record: Record) -> list[NotificationError]:
        pending = [each for each in self._channels if each.name not in record.delivered]
        if not pending:
            return []
        event = record.event
        record = record.model_copy(update={"attempted_at": datetime.now(UTC)})
        self._records.save(record)
        message, errors = render(event, self._namespace), []
        for channel in pending:
            try:
                channel.send(message, event.kind, self._timeout_seconds)
            except NotificationError as error:
                errors.append(error)
                self._channels.remove(channel)
            else:
                delivered = record.delivered | {channel.name: datetime.now(UTC)}
                record = record.model_copy(update={"delivered": delivered})
                self._records.save(record)
        return errors


def notify_if_enabled(
    settings: Settings,
    find_events: Callable[[ObjectStore, NotificationSettings], Iterable[Event]],
) -> None:
    """Send the messages of a job, if any channel is configured. Never fails: failures are logged.

    Args:
        settings: Settings of the job.
        find_events: Returns the events; called only if a channel is configured.
    """
    errors: list[SkyclassError] = []
    try:
        options = load(NotificationSettings)
        if not options.is_enabled:
            return
        store = ObjectStore(settings)
        notifier = Notifier(store, make_channels(options.read_urls()), options.timeout_seconds)
        errors += notifier.retry()
        for event in find_events(store, options):
            if options.is_selected(event.kind):
                errors += notifier.notify(event)
    except SkyclassError as error:
        errors.append(error)
    for each in errors:
        logger.warning("notification: %s", each)
