"""No command prints a key, even with all messages of all libraries."""

import logging

import pytest

from skyclass.registry.releases import Release
from tests.support.command_line import CommandLine

KEY = "wonderland-7f3a91"
COMMANDS = [
    ("ingest", "simulated:?rows=10"),
    ("ingest", "s3://skyclass-data/rows.csv"),
    ("releases",),
    ("score", "table:", "--mode", "spectroscopic"),
    ("drift", "--mode", "spectroscopic"),
    ("maintain",),
    ("promote", "0123456789abcdef"),
    ("rollback", "--mode", "spectroscopic"),
    ("export", "--mode", "spectroscopic"),
]


@pytest.fixture
def all_messages(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_failing_command_does_not_print_the_key(
    command: tuple[str, ...],
    published: list[Release],
    command_line: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    all_messages: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    result = command_line.run(*command)
    assert result.status == 1
    for text in (result.out, result.err, all_messages.text):
        assert KEY not in text


def test_a_successful_command_does_not_print_the_key(
    environment: dict[str, str],
    published: list[Release],
    command_line: CommandLine,
    all_messages: pytest.LogCaptureFixture,
) -> None:
    result = command_line.run("ingest", "simulated:?rows=10")
    assert result.status == 0
    for text in (result.out, result.err, all_messages.text):
        assert environment["AWS_SECRET_ACCESS_KEY"] not in text
