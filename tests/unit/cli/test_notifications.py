"""`skyclass notify test`, and the messages of `promote`, `rollback` and `drift`."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from skyclass.monitoring.documents import save_document
from skyclass.monitoring.verdict import Verdict
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.observation import Era
from tests.support.command_line import CommandLine
from tests.support.monitoring import draw_observations, make_daily_verdict, publish_reference
from tests.support.web import Response, Web, serve


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A channel that accepts every message."""
    with serve(Response()) as web:
        url = f"json://{web.url.removeprefix('http://')}/hook"
        monkeypatch.setenv("SKYCLASS_NOTIFICATION_URLS", url)
        yield web


def get_titles(web: Web) -> list[str]:
    return [json.loads(body)["title"] for body in web.bodies]


def test_test_message_arrives(command_line: CommandLine, store: ObjectStore, webhook: Web) -> None:
    result = command_line.run("notify", "test")
    assert (result.status, result.out.split()) == (0, ["accepted", "by", "1-json"])
    assert get_titles(webhook) == ["skyclass test message"]


@pytest.mark.parametrize(
    ("urls", "error"),
    [
        ("", "no channel is configured: set SKYCLASS_NOTIFICATION_URLS"),
        ("slack://secret", "channel 1-slack is no URL of a service: correct it"),
        ("json://user:secret@127.0.0.1:9/", "channel 1-json did not accept the message"),
    ],
)
def test_wrong_channel_is_a_one_line_error(
    command_line: CommandLine,
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    urls: str,
    error: str,
) -> None:
    monkeypatch.setenv("SKYCLASS_NOTIFICATION_URLS", urls)
    line = command_line.run_failing("notify", "test")
    assert error in line
    assert "secret" not in line


def test_promotions_by_hand_are_reported(
    command_line: CommandLine, published: list[Release], webhook: Web
) -> None:
    assert command_line.run("rollback", "--reason", "too slow").status == 0
    assert command_line.run("promote", published[1].id[:12]).status == 0
    assert get_titles(webhook) == [
        "skyclass spectroscopic: release rolled back",
        "skyclass spectroscopic: release promoted",
    ]


def test_unreachable_channel_fails_no_command(
    command_line: CommandLine, published: list[Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYCLASS_NOTIFICATION_URLS", "json://127.0.0.1:9/")
    assert command_line.run("rollback").status == 0


def test_drift_is_reported_even_if_retraining_cannot_start(
    command_line: CommandLine,
    store: ObjectStore,
    webhook: Web,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT", raising=False)
    rows = draw_observations(Era.LEGACY, 100, seed=1)
    release = publish_reference(LocalChampionStore(store), tmp_path, rows)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for days in (1, 2):
        verdict = make_daily_verdict(Verdict.DRIFT, release.id, today - timedelta(days=days))
        save_document(store, verdict)
    window = ("--start", f"{today - timedelta(days=1):%F}", "--end", f"{today:%F}")
    for _ in range(2):
        error = command_line.run_failing("drift", *window, "--retrain", "kfp")
        assert "no KFP address" in error
    assert get_titles(webhook) == ["skyclass spectroscopic: drift persists"]
