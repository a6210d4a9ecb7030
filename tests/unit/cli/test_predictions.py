"""`skyclass serve`, `predict`, `score` and `drift`."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from skyclass.local.ports import find_free_ports
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import REPORT, Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from tests.support.command_line import CommandLine
from tests.support.monitoring import (
    END,
    START,
    draw_observations,
    make_log_rows,
    publish_reference,
    write_log_rows,
)
from tests.support.rows import frame
from tests.support.scoring import publish_tree


def test_drift_without_a_champion_fails(command_line: CommandLine, store: ObjectStore) -> None:
    assert "run training first" in command_line.run_failing("drift")


def test_drift_in_a_window_that_has_not_ended_decides_nothing(
    command_line: CommandLine, store: ObjectStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    champions = LocalChampionStore(store)
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 100, seed=1))
    today = datetime.now(UTC).date()
    window = ("--start", f"{today}", "--end", f"{today + timedelta(days=2)}")
    result = command_line.run("drift", *window, "--retrain", "here", "--json")
    assert result.status == 0
    assert json.loads(result.out).get("decision") is None
    assert json.loads(result.out)["release"] == release.id
    assert "the window ends in the future" in caplog.text


def test_drift_reports_the_predictions_of_other_releases(
    command_line: CommandLine, store: ObjectStore, tmp_path: Path
) -> None:
    champions = LocalChampionStore(store)
    publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 100, seed=1))
    write_log_rows(store, make_log_rows(draw_observations(Era.LEGACY, 20, seed=2), "b" * 64))
    result = command_line.run("drift", "--start", f"{START:%F}", "--end", f"{END:%F}")
    assert "left out  20 rows of release bbbbbbbbbbbb" in result.out


@pytest.mark.slow
def test_an_unreachable_predictor_is_a_one_line_error(
    command_line: CommandLine, tmp_path: Path
) -> None:
    (port,) = find_free_ports(1)
    frame({}).to_csv(tmp_path / "a.csv")
    url = f"http://127.0.0.1:{port}"
    assert url in command_line.run_failing("predict", str(tmp_path / "a.csv"), "--url", url)


def test_a_damaged_release_is_not_served(
    command_line: CommandLine, published: list[Release], store: ObjectStore, tmp_path: Path
) -> None:
    folder = tmp_path / "release"
    LocalChampionStore(store).registry.download(published[0], folder)
    (folder / REPORT).write_text("report X")
    assert f"{REPORT}: " in command_line.run_failing("serve", "--release", str(folder))


def test_score_accounts_for_every_row(
    command_line: CommandLine, store: ObjectStore, tmp_path: Path
) -> None:
    assert command_line.run("ingest", "simulated:?rows=60", "--json").status == 0
    assert "no photometric champion yet" in command_line.run_failing(
        "score", "table:", "--mode", "photometric"
    )
    release = publish_tree(store, tmp_path / "release", Mode.PHOTOMETRIC)
    arguments = ("score", "table:", "--mode", "photometric", "--release", release.id[:8], "--json")
    assert json.loads(command_line.run(*arguments).out)["inserted"] == 60
    assert json.loads(command_line.run(*arguments).out)["rows_in"] == 0
