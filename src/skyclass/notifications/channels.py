"""Channels: where Apprise sends messages. Their URLs contain passwords and tokens.

Apprise is imported when a message is sent: its services take a second to load.
"""

import logging
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skyclass.errors import NotificationError, one_line
from skyclass.notifications.event import Kind, Message
from skyclass.notifications.redaction import LogFilter, redact

if TYPE_CHECKING:
    from apprise import Apprise

TYPES = {
    Kind.DRIFT: "warning",
    Kind.DATA_QUALITY: "warning",
    Kind.REJECTED: "warning",
    Kind.WAITING: "warning",
    Kind.PROMOTED: "success",
    Kind.FAILED: "failure",
    Kind.ROLLED_BACK: "failure",
}
"""Apprise's type of a message, which sets its colour and picture; `info` for all other kinds."""

_SCHEME = re.compile(r"([a-z0-9]+)://", re.IGNORECASE)
_LOG_FILTER = LogFilter()


@dataclass(frozen=True)
class Channel:
    """One URL of the settings.

    Attributes:
        name: Number and scheme of the URL, such as `2-slack`; contains no secret.
        url: The URL, with its secrets.
    """

    name: str
    url: str = field(repr=False)

    def send(self, message: Message, kind: Kind, timeout_seconds: float) -> None:
        """Send a message.

        Args:
            message: The message.
            kind: Kind of its event.
            timeout_seconds: Time after which the call returns, whatever the server does. The
                message may still arrive.

        Raises:
            NotificationError: The URL is malformed, or the message was not accepted in time.
        """
        service = self._open_service()
        failures: list[str] = []

        def deliver() -> None:
            failures.append(self._deliver(service, message, kind))

        # Apprise's own timeouts are those of each read, and its threads delay the end of a process.
        thread = threading.Thread(target=deliver, daemon=True, name=f"notify-{self.name}")
        thread.start()
        thread.join(timeout_seconds)
        failure = failures[0] if failures else f"timed out after {timeout_seconds:g} s"
        if failure:
            raise NotificationError(
                f"channel {self.name} did not accept the message ({failure}): check its URL, its "
                "server and the network, then run `skyclass notify test`"
            )

    def _open_service(self) -> "Apprise":
        logging.getLogger("apprise").addFilter(_LOG_FILTER)  # adding it twice has no effect
        from apprise import Apprise, AppriseAsset

        asset = AppriseAsset(
            app_id="skyclass", async_mode=False, allow_templates=False, service_timeout=0
        )
        service = Apprise(asset=asset)
        if not service.add(self.url):
            raise NotificationError(
                f"channel {self.name} is no URL of a service: correct it in "
                "SKYCLASS_NOTIFICATION_URLS (docs/notifications.md has examples)"
            )
        return service

    def _deliver(self, service: "Apprise", message: Message, kind: Kind) -> str:
        """Send a message, and return why it was not accepted; empty if it was."""
        from apprise import NotifyFormat, NotifyType

        _LOG_FILTER.collect()  # warnings about the URL
        if service.notify(
            title=message.title,
            body=message.body,
            notify_type=NotifyType(TYPES.get(kind, "info")),
            body_format=NotifyFormat.TEXT,
        ):
            return ""
        warnings = one_line(redact(_LOG_FILTER.collect(), self.url)).rstrip(".")
        return warnings or "no reason given"


def make_channels(urls: Iterable[str]) -> list[Channel]:
    """Return the channels of URLs, without checking them.

    Args:
        urls: URLs with their secrets.

    Examples:
        >>> make_channels(["slack://token", "nonsense"])
        [Channel(name='1-slack'), Channel(name='2-unknown')]
    """
    channels = []
    for number, url in enumerate(urls, start=1):
        scheme = _SCHEME.match(url)
        channels.append(Channel(f"{number}-{scheme[1].lower() if scheme else 'unknown'}", url))
    return channels
