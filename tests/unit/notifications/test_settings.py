"""Settings of notifications, as the chart passes them."""

from pathlib import Path

import pytest

from skyclass.notifications.event import Kind
from skyclass.notifications.settings import NotificationSettings
from skyclass.settings import load


def test_settings_are_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "urls").write_text("slack://a/b/c/#night-shift\n\n# spare\n  json://d  \n")
    variables = {
        "SKYCLASS_NOTIFICATION_URLS": "json://e json://f",
        "SKYCLASS_NOTIFICATION_URLS_FILE": str(tmp_path / "urls"),
        "SKYCLASS_NOTIFICATION_KINDS": "failed,rolled_back",
        "SKYCLASS_MONITOR_URL": "https://monitor",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = load(NotificationSettings)
    urls = ["json://e", "json://f", "slack://a/b/c/#night-shift", "json://d"]
    assert settings.read_urls() == urls
    assert settings.kinds == (Kind.FAILED, Kind.ROLLED_BACK)
    assert settings.monitor_url == "https://monitor"
    assert "json://e" not in repr(settings)


def test_empty_variables_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SKYCLASS_NOTIFICATION_URLS", "SKYCLASS_NOTIFICATION_KINDS"):
        monkeypatch.setenv(name, "")
    settings = load(NotificationSettings)
    assert not settings.is_enabled
    assert all(settings.is_selected(kind) for kind in Kind)
