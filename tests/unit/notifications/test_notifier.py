"""One message per event and channel, whatever fails, and no failure of the job."""

import json
import sys
from datetime import UTC, datetime, timedelta

import pytest

from skyclass.notifications.channels import make_channels
from skyclass.notifications.event import Event
from skyclass.notifications.notifier import Notifier, notify_if_enabled
from skyclass.notifications.records import Record, RecordStore
from skyclass.notifications.settings import NotificationSettings
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from tests.support.mail import serve_mail
from tests.support.web import Response, Web

SECRET = "Geheim4711"  # noqa: S105 - part of the channels' URLs
FAILING = Response(status=503)


def get_url(web: Web) -> str:
    return f"json://user:{SECRET}@{web.url.removeprefix('http://')}/{SECRET}"


def notify(store: ObjectStore, event: Event, *urls: str) -> int:
    """Report an event as a new process does, and return the number of failed channels."""
    return len(Notifier(store, make_channels(urls), 10).notify(event))


def retry(store: ObjectStore, *urls: str) -> int:
    """Retry as the next job does, and return the number of failed channels."""
    return len(Notifier(store, make_channels(urls), 10).retry())


def forget_attempt(store: ObjectStore, event: Event) -> None:
    """Make the last attempt an hour old."""
    records = RecordStore(store)
    record = records.find(event.id)
    assert record is not None
    earlier = {"attempted_at": record.attempted_at - timedelta(hours=1)}
    records.save(record.model_copy(update=earlier))


def test_event_is_reported_once_however_often_a_job_is_retried(
    store: ObjectStore, webhook: Web, event: Event
) -> None:
    for _ in range(3):
        assert notify(store, event, get_url(webhook)) == 0
    assert retry(store, get_url(webhook)) == 0
    assert len(webhook.requests) == 1


def test_failed_message_is_sent_by_the_next_job(
    store: ObjectStore, webhook: Web, event: Event
) -> None:
    webhook.responses[:] = [FAILING, Response()]
    assert notify(store, event, get_url(webhook)) == 1
    forget_attempt(store, event)
    assert retry(store, get_url(webhook)) == 0
    assert retry(store, get_url(webhook)) == 0
    messages = [json.loads(body)["message"] for body in webhook.bodies]
    assert len(messages) == 2
    assert messages[0] == messages[1]


def test_only_the_channel_that_failed_is_retried(
    store: ObjectStore, webhook: Web, event: Event
) -> None:
    webhook.responses[:] = [FAILING, Response()]
    with serve_mail() as mailbox:
        mail = f"mailto://127.0.0.1:{mailbox.port}?from=a@example.org&to=b@example.org"
        assert notify(store, event, get_url(webhook), mail) == 1
        assert notify(store, event, get_url(webhook), mail) == 0
    assert (len(webhook.requests), len(mailbox.messages)) == (2, 1)


def test_message_that_another_process_is_sending_is_left_to_it(
    store: ObjectStore, webhook: Web, event: Event
) -> None:
    RecordStore(store).save(Record(event=event, delivered={}, attempted_at=datetime.now(UTC)))
    assert retry(store, get_url(webhook)) == 0
    assert webhook.requests == []


def test_old_event_is_not_retried(store: ObjectStore, webhook: Web, event: Event) -> None:
    old = event.model_copy(update={"time": event.time - timedelta(days=4)})
    RecordStore(store).save(Record(event=old, delivered={}, attempted_at=old.time))
    assert retry(store, get_url(webhook)) == 0
    assert webhook.requests == []


def test_failed_channel_gets_no_further_message_in_the_same_job(
    store: ObjectStore, webhook: Web, event: Event
) -> None:
    webhook.responses[:] = [FAILING]
    notifier = Notifier(store, make_channels([get_url(webhook)]), 10)
    for number in range(3):
        notifier.notify(event.model_copy(update={"id": f"event-{number}"}))
    assert len(webhook.requests) == 1


class ExitingStore(ObjectStore):
    """A store that exits the process instead of the n-th write."""

    writes = 0
    last = 0

    def put(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        self.writes += 1
        if self.writes == self.last:
            raise SystemExit(137)
        super().put(bucket, key, data, content_type)


@pytest.mark.parametrize(("last_write", "messages"), [(1, 1), (2, 2)])
def test_killed_job_loses_no_message_and_repeats_it_at_most_once(
    store: ObjectStore, webhook: Web, event: Event, last_write: int, messages: int
) -> None:
    killed = ExitingStore(store.settings)
    killed.last = last_write
    with pytest.raises(SystemExit):
        notify(killed, event, get_url(webhook))
    for _ in range(2):
        assert notify(store, event, get_url(webhook)) == 0
    assert len(webhook.requests) == messages


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, webhook: Web) -> Web:
    monkeypatch.setenv("SKYCLASS_NOTIFICATION_URLS", get_url(webhook))
    return webhook


def test_without_channels_nothing_is_computed_read_or_imported(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_events(store: ObjectStore, options: NotificationSettings) -> list[Event]:
        raise AssertionError

    monkeypatch.setitem(sys.modules, "apprise", None)  # an import would fail
    notify_if_enabled(settings, find_events)


@pytest.mark.parametrize(("kinds", "messages"), [("", 1), ("promoted, failed", 1), ("drift", 0)])
def test_kinds_can_be_selected(
    store: ObjectStore,
    configured: Web,
    event: Event,
    monkeypatch: pytest.MonkeyPatch,
    kinds: str,
    messages: int,
) -> None:
    monkeypatch.setenv("SKYCLASS_NOTIFICATION_KINDS", kinds)
    notify_if_enabled(store.settings, lambda *_: [event])
    assert len(configured.requests) == messages


def test_channels_are_read_from_a_file_too(
    store: ObjectStore,
    configured: Web,
    event: Event,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    file = tmp_path_factory.mktemp("secret") / "urls"
    file.write_text(f"# the archive\n{get_url(configured)}/archive\n\n")
    monkeypatch.setenv("SKYCLASS_NOTIFICATION_URLS_FILE", str(file))
    notify_if_enabled(store.settings, lambda *_: [event])
    assert configured.requests == [f"POST /{SECRET}", f"POST /{SECRET}/archive"]


@pytest.mark.parametrize(
    ("variable", "value", "warning"),
    [
        ("SKYCLASS_NOTIFICATION_URLS", f"slack://{SECRET}", "channel 1-slack is no URL"),
        ("SKYCLASS_NOTIFICATION_URLS_FILE", "/missing/file", "/missing/file is unreadable"),
        ("SKYCLASS_NOTIFICATION_KINDS", "drift,drfit", "NOTIFICATION_KINDS is malformed"),
        ("SKYCLASS_NOTIFICATION_TIMEOUT_SECONDS", "soon", "TIMEOUT_SECONDS is malformed"),
    ],
)
def test_wrong_setting_is_a_warning(
    store: ObjectStore,
    configured: Web,
    event: Event,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variable: str,
    value: str,
    warning: str,
) -> None:
    monkeypatch.setenv(variable, value)
    notify_if_enabled(store.settings, lambda *_: [event])
    (record,) = [each for each in caplog.records if each.name.startswith("skyclass")]
    assert record.levelname == "WARNING"
    assert warning in record.message
    assert SECRET not in caplog.text


def test_unreachable_channel_and_unreachable_store_are_warnings(
    settings: Settings,
    store: ObjectStore,
    event: Event,
    monkeypatch: pytest.MonkeyPatch,
    unreachable_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    address = unreachable_url.removeprefix("http://")
    monkeypatch.setenv("SKYCLASS_NOTIFICATION_URLS", f"json://user:{SECRET}@{address}/{SECRET}")
    notify_if_enabled(settings, lambda *_: [event])
    changes = {"endpoint_url": unreachable_url, "s3_retries": 0}
    notify_if_enabled(settings.model_copy(update=changes), lambda *_: [event])
    first, second = (each.message for each in caplog.records if each.name.startswith("skyclass"))
    assert "channel 1-json did not accept the message" in first
    assert "object store" in second
    assert SECRET not in caplog.text
