"""A webhook as a channel, and events to send to it."""

from datetime import UTC, datetime

import pytest

from skyclass.notifications.event import Event, Kind
from skyclass.survey.features import Mode
from tests.support.web import Response, Web


@pytest.fixture
def webhook(web: Web) -> Web:
    """A server that accepts every message."""
    web.responses[:] = [Response()]
    return web


@pytest.fixture
def event() -> Event:
    return Event(
        id="promoted-photometric-run-7",
        kind=Kind.PROMOTED,
        mode=Mode.PHOTOMETRIC,
        reason="release 4c657060b4be is champion: better",
        link="https://kfp.example.org/#/runs/details/7",
        time=datetime.now(UTC),
    )
