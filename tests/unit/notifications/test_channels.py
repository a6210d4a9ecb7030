"""Channels: a message arrives, or its failure is one line without the secrets of the URL."""

import json

import pytest

from skyclass.errors import NotificationError
from skyclass.notifications.channels import Channel, make_channels
from skyclass.notifications.event import Event, Kind, Message, render
from tests.support.mail import serve_mail
from tests.support.web import Response, Web

SECRET = "Geheim4711"  # noqa: S105 - part of the channels' URLs
MESSAGE = Message(
    "skyclass photometric: drift persists", "2 of 3 windows drifted\n\nhttps://kfp/#/7"
)


def make_channel(url: str) -> Channel:
    (channel,) = make_channels([url])
    return channel


def make_webhook_url(web: Web) -> str:
    return f"json://user:{SECRET}@{web.url.removeprefix('http://')}/{SECRET}-path?+X-Key={SECRET}"


def test_webhook_receives_title_body_and_type(webhook: Web) -> None:
    make_channel(make_webhook_url(webhook)).send(MESSAGE, Kind.FAILED, 10)
    (body,) = webhook.bodies
    received = json.loads(body)
    assert (received["title"], received["message"]) == (MESSAGE.title, MESSAGE.body)
    assert received["type"] == "failure"


def test_mail_has_the_title_as_subject_and_the_link() -> None:
    with serve_mail() as mailbox:
        url = f"mailto://127.0.0.1:{mailbox.port}?from=sky@example.org&to=night-shift@example.org"
        make_channel(url).send(MESSAGE, Kind.DRIFT, 10)
    (message,) = mailbox.messages
    assert message["Subject"] == MESSAGE.title
    assert message["To"] == "night-shift@example.org"
    assert message.get_content().replace("\r", "").strip() == MESSAGE.body


def test_text_in_braces_is_sent_as_it_is(webhook: Web) -> None:
    text = "{{ reason }} \\n <b> & :smile:"
    make_channel(make_webhook_url(webhook)).send(Message(text, text), Kind.DRIFT, 10)
    received = json.loads(webhook.bodies[0])
    assert (received["title"], received["message"]) == (text, text)


def test_rejected_message_is_reported_with_the_status(webhook: Web) -> None:
    webhook.responses[:] = [Response(status=403)]
    with pytest.raises(NotificationError, match=r"channel 1-json .*error=403"):
        make_channel(make_webhook_url(webhook)).send(MESSAGE, Kind.DRIFT, 10)


def test_slow_channel_times_out(webhook: Web, unresponsive_url: str) -> None:
    channel = make_channel(f"json://{unresponsive_url.removeprefix('http://')}")
    make_channel(make_webhook_url(webhook)).send(MESSAGE, Kind.DRIFT, 10)  # loads Apprise
    # Apprise itself waits for 4 seconds, and has another message.
    with pytest.raises(NotificationError, match=r"timed out after 0\.3 s"):
        channel.send(MESSAGE, Kind.DRIFT, 0.3)


@pytest.mark.parametrize(
    "url",
    [
        f"json://user:{SECRET}@127.0.0.1:{{port}}/{SECRET}?+X-Key={SECRET}",
        f"mailto://user:{SECRET}@127.0.0.1:{{port}}?from=a@example.org&to=b@example.org",
        f"mailtos://user:{SECRET}@127.0.0.1:{{port}}?from=a@example.org&to={SECRET}@example.org",
        f"jsons://{SECRET}:{SECRET}@127.0.0.1:{{port}}",
        f"slack://{SECRET}",
        f"slack://{SECRET}/{SECRET}/{SECRET}",
        f"json://user:{SECRET}@",
        f"unknown://{SECRET}@host/{SECRET}",
        f"https://example.org:{SECRET}",
        SECRET,
        f"tgram://{SECRET}",
        f"json://user:{SECRET}@[::1/{SECRET}",
    ],
)
def test_no_error_and_no_log_has_a_secret(
    url: str,
    unreachable_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", unreachable_url)  # nothing is sent to Slack
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    channel = make_channel(url.format(port=unreachable_url.rsplit(":", 1)[1]))
    with caplog.at_level("DEBUG"), pytest.raises(NotificationError) as raised:
        channel.send(MESSAGE, Kind.DRIFT, 10)
    printed = capfd.readouterr()
    error = raised.value
    for text in (str(error), repr(channel), repr(error.__context__), caplog.text, *printed):
        assert SECRET.lower() not in text.lower()
    assert channel.name in str(error)
    assert "\n" not in str(error)


def test_message_about_an_event_has_reason_time_and_link(event: Event) -> None:
    message = render(event, "sky-prod")
    assert message.title == "skyclass (sky-prod) photometric: release promoted"
    assert message.body.startswith("release 4c657060b4be is champion: better\n")
    assert f"{event.time:%Y-%m-%d %H:%M} UTC" in message.body
    assert message.body.endswith("\nhttps://kfp.example.org/#/runs/details/7")
