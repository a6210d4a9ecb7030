"""`skyclass maintain`."""

import json

import pytest

from skyclass.storage.s3 import ObjectStore
from skyclass.tables.log.layout import make_hour_prefix
from tests.support.command_line import CommandLine
from tests.support.maintenance import HOUR, write_files


def test_command_prints_progress_and_its_result(
    command_line: CommandLine, store: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    write_files(store)
    result = command_line.run("maintain", "--json")
    assert result.status == 0
    assert json.loads(result.out)["files_merged"] == 4
    assert f"{make_hour_prefix(HOUR)}: merged 4 files into 2" in caplog.text


def test_command_rejects_a_retention_that_is_too_short(
    command_line: CommandLine, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYCLASS_MAINTAIN_LOG_DAYS", "7")
    line = command_line.run_failing("maintain", "--dry-run")
    assert "SKYCLASS_MAINTAIN_LOG_DAYS is malformed" in line
    assert "7 days are too few" in line
