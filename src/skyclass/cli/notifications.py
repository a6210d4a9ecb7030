"""Command for notifications: `notify test`."""

from datetime import UTC, datetime
from uuid import uuid4

import typer

from skyclass.cli.output import err, print_result
from skyclass.errors import NotificationError
from skyclass.settings import load, load_settings

app = typer.Typer()
_PANEL = "Monitoring"

notify_app = typer.Typer(no_args_is_help=True)
app.add_typer(
    notify_app, name="notify", help="Messages by mail, Slack and others.", rich_help_panel=_PANEL
)


@notify_app.callback()
def notify() -> None:
    """Messages about drift, retraining and releases, by mail, Slack, webhook and others."""


@notify_app.command("test")
def send_test() -> None:
    """Send a test message to each channel, and record it as jobs do."""
    from skyclass.notifications.channels import make_channels
    from skyclass.notifications.event import Event, Kind, make_id
    from skyclass.notifications.notifier import Notifier
    from skyclass.notifications.settings import NotificationSettings
    from skyclass.storage.s3 import ObjectStore

    settings, options = load_settings(), load(NotificationSettings)
    channels = make_channels(options.read_urls())
    if not channels:
        raise NotificationError(
            "no channel is configured: set SKYCLASS_NOTIFICATION_URLS "
            "(docs/notifications.md has examples)"
        )
    event = Event(
        id=make_id(Kind.TEST, uuid4().hex),
        kind=Kind.TEST,
        mode=None,
        reason="this is a test: messages about events arrive here",
        link=options.monitor_url or None,
        time=datetime.now(UTC),
    )
    with err.status("sending"):
        errors = Notifier(ObjectStore(settings), channels, options.timeout_seconds).notify(event)
    for error in errors[:-1]:
        err.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
    if errors:
        raise errors[-1]
    print_result({"accepted_by": ", ".join(each.name for each in channels)}, as_json=False)
