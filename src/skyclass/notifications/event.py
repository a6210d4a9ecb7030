"""Events that people are notified of, and the text of their messages."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from skyclass.registry.documents import Document
from skyclass.survey.features import Mode


class Kind(StrEnum):
    """Kind of an event; the setting SKYCLASS_NOTIFICATION_KINDS selects some."""

    DRIFT = "drift"
    DATA_QUALITY = "data_quality"
    RETRAINING = "retraining"
    REJECTED = "rejected"
    WAITING = "waiting"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    TEST = "test"
    """A message of `skyclass notify test`, which is always sent."""


TITLES = {
    Kind.DRIFT: "drift persists",
    Kind.DATA_QUALITY: "data quality problem",
    Kind.RETRAINING: "retraining started",
    Kind.REJECTED: "release not promoted",
    Kind.WAITING: "release waits for approval",
    Kind.PROMOTED: "release promoted",
    Kind.ROLLED_BACK: "release rolled back",
    Kind.FAILED: "training run or rollback failed",
    Kind.TEST: "test message",
}


class Event(Document):
    """Something that happened to a mode.

    Attributes:
        id: Equal for the same event whoever reports it and however often; made by `make_id`.
        kind: The kind.
        mode: The mode; None for a test message.
        reason: What happened and why, in one or two sentences.
        link: Where to look: the URL of a page, or the URI of a report.
        time: When it happened (UTC).
    """

    id: str = Field(pattern=r"^[\w.-]+$")
    kind: Kind
    mode: Mode | None
    reason: str
    link: str | None
    time: datetime


@dataclass(frozen=True)
class Message:
    """The text of an event, without markup."""

    title: str
    body: str


def make_id(*parts: object) -> str:
    """Return an event id, which is also the name of an object in the reports bucket.

    Args:
        parts: What distinguishes the event: its kind, its mode, and its window, run or time.

    Examples:
        >>> make_id(Kind.PROMOTED, Mode.PHOTOMETRIC, "run 7/b")
        'promoted-photometric-run-7-b'
    """
    return re.sub(r"[^\w.-]", "-", "-".join(str(part) for part in parts), flags=re.ASCII)


def format_time(time: datetime) -> str:
    """Return a time (UTC) for event ids, such as `20260502T000000Z`."""
    return f"{time:%Y%m%dT%H%M%SZ}"


def render(event: Event, namespace: str = "") -> Message:
    """Return the message about an event.

    Args:
        event: The event.
        namespace: Kubernetes namespace of the installation; empty on one machine.
    """
    sender = f"skyclass ({namespace})" if namespace else "skyclass"
    subject = f"{event.mode}: {TITLES[event.kind]}" if event.mode else TITLES[event.kind]
    lines = [event.reason, f"Time: {event.time:%Y-%m-%d %H:%M} UTC"]
    if event.link:
        lines.append(event.link)
    return Message(f"{sender} {subject}", "\n\n".join(lines))
