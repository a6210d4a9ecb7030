"""`skyclass ingest` and `skyclass eda`."""

import json
from pathlib import Path

import pytest

from skyclass.storage.s3 import ObjectStore
from tests.support.command_line import CommandLine
from tests.support.rows import frame


def test_json_output_is_json_only(command_line: CommandLine, store: ObjectStore) -> None:
    result = command_line.run("ingest", "simulated:?rows=50", "--json")
    assert result.status == 0
    accounting = json.loads(result.out)
    assert (accounting["rows_in"], accounting["inserted"]) == (50, 50)


def test_output_without_json_has_one_line_per_field(
    command_line: CommandLine, store: ObjectStore
) -> None:
    result = command_line.run("ingest", "simulated:?rows=1200")
    assert "rows in" in result.out
    assert "1,200" in result.out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "no such file: check the path", id="no file"),
        pytest.param("", "the file is empty", id="empty"),
        pytest.param(frame({}).drop(columns="u").to_csv(), "missing column u", id="no column"),
        pytest.param("name,value\nx,1\n", "no known dialect", id="unknown dialect"),
        pytest.param(frame({"plate": ""}).to_csv(), "all 1 rows were rejected", id="invalid rows"),
    ],
)
def test_an_unreadable_source_is_a_one_line_error(
    content: str | None, message: str, command_line: CommandLine, store: ObjectStore, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "a.csv").write_text(content)
    assert message in command_line.run_failing("ingest", str(tmp_path / "a.csv"))


@pytest.mark.slow
def test_eda_writes_a_report_and_ingests_nothing(
    command_line: CommandLine, store: ObjectStore, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    result = command_line.run("eda", "simulated:?rows=300", "-o", str(page), "--json")
    assert result.status == 0
    assert json.loads(result.out) == {"rows": 300, "unfit": 0, "report": str(page)}
    assert page.read_text().startswith("<!doctype html>")
    assert "does not exist" in command_line.run_failing("eda", "table:")


def test_a_source_with_many_invalid_rows_is_rejected_with_examples(
    command_line: CommandLine, store: ObjectStore, tmp_path: Path
) -> None:
    invalid = [{"u": "bright"} if fibre % 5 == 0 else {} for fibre in range(200)]
    frame(*invalid).to_csv(tmp_path / "a.csv", index=False)
    line = command_line.run_failing("ingest", str(tmp_path / "a.csv"))
    assert "40 of 200 rows were rejected, most of them for u: not a number in 20.0%" in line
    assert "plate=267 mjd=51608 fiber_id=1 u=bright; " in line
