"""Every command that needs the object store names what is wrong with it, on one line."""

from pathlib import Path

import pytest

from skyclass.storage.s3 import ObjectStore
from tests.support.command_line import CommandLine
from tests.support.rows import frame

RELEASE = "a" * 64
COMMANDS = [
    ("ingest", "simulated:?rows=50"),
    ("eda", "table:"),
    ("maintain",),
    ("run", "training", "--param", "source_uri=simulated:?rows=50"),
    ("releases",),
    ("releases", "show", RELEASE),
    ("releases", "lineage", RELEASE),
    ("releases", "waiting"),
    ("promote", RELEASE),
    ("promote", RELEASE, "--approve", "--reason", "better"),
    ("rollback",),
    ("serve",),
    ("score", "table:"),
    ("export",),
    ("explain", "objects.csv"),
    ("drift",),
]
every_command = pytest.mark.parametrize("command", COMMANDS, ids=" ".join)


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with a file of objects."""
    monkeypatch.chdir(tmp_path)
    frame({}).to_csv("objects.csv", index=False)


@every_command
def test_wrong_secret_is_named(
    command: tuple[str, ...],
    command_line: CommandLine,
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    message = command_line.run_failing(*command)
    assert "access denied" in message
    assert "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in message
    assert "not-the-secret" not in message


@every_command
def test_missing_bucket_is_named(
    command: tuple[str, ...], command_line: CommandLine, environment: dict[str, str]
) -> None:
    message = command_line.run_failing(*command)
    prefix = environment["SKYCLASS_DATA_BUCKET"].removesuffix("data")
    assert f"s3://{prefix}" in message
    assert "the bucket does not exist: create it, or correct the SKYCLASS_*_BUCKET" in message
