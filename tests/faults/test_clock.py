"""A clock that is a day ahead or behind loses and doubles nothing, and is named as the reason."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from skyclass.local.s3_server import Access
from skyclass.monitoring.drift_job import run_drift
from skyclass.promotion.local import LocalChampionStore
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import KEY, Era
from skyclass.tables.log.read import read_log
from skyclass.tables.observations import ObservationsTable
from tests.support.clock import correct_clock, shift_clock
from tests.support.faults.history import History
from tests.support.maintenance import name_log_rows, write_files
from tests.support.monitoring import draw_observations
from tests.support.predictor import Site, eventually, publish, serving, simulated
from tests.support.rows import name_rows

MODE = Mode.SPECTROSCOPIC
V1 = "/v1/models/skyclass-spectroscopic:predict"
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
ROWS = 100

wrong_clocks = pytest.mark.parametrize(
    "offset",
    [
        pytest.param(DAY, id="ahead", marks=pytest.mark.fault("clock-ahead")),
        pytest.param(-DAY, id="behind", marks=pytest.mark.fault("clock-behind")),
    ],
)


def run_command(environment: Mapping[str, str], *arguments: str) -> str:
    """Run a command of skyclass, and return the line of its error; empty for none."""
    done = subprocess.run(
        [sys.executable, "-m", "skyclass", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == (done.returncode != 0), done.stderr
    return "".join(lines)


@wrong_clocks
def test_jobs_change_nothing_and_name_the_clock(
    offset: timedelta,
    store: ObjectStore,
    table: ObservationsTable,
    tmp_path: Path,
    history: History,
) -> None:
    """The object store rejects requests of another time, so no job deletes or decides by it."""
    rows = draw_observations(Era.LEGACY, ROWS, seed=1)
    rows.to_csv(tmp_path / "new.csv", index=False)
    write_files(store)
    history.acknowledge(*name_log_rows(store))
    history.attempt(*name_rows(rows))
    before = {bucket: list(store.list_keys(bucket, "")) for bucket in store.settings.buckets}
    wrong = shift_clock(offset)
    jobs = [("ingest", str(tmp_path / "new.csv")), ("maintain",), ("drift", "--retrain", "here")]
    for job in jobs:
        error = run_command(wrong, *job)
        assert "the clock of this machine differs by more than 15 minutes" in error
        history.fire(f"the clock of {job[0]} was {offset} ahead")
    after = {bucket: list(store.list_keys(bucket, "")) for bucket in store.settings.buckets}
    assert after == before

    with history.recovery():
        for job in jobs[:2]:  # there is no champion to evaluate
            assert run_command({}, *job) == ""
    history.acknowledge(*name_rows(rows))
    history.find(name_rows(table.read(table.version(), list(KEY))))
    history.find(name_log_rows(store))


@wrong_clocks
def test_predictions_are_logged_once_when_the_clock_is_right_again(
    offset: timedelta, s3: Access, tmp_path: Path, history: History
) -> None:
    """They are in the hours of the wrong clock, and belong to the window of these hours only."""
    site = Site.make(s3, tmp_path / "home")
    release = publish(site, tmp_path / "files", MODE, seed=1)
    champions = LocalChampionStore(site.store)
    champions.promote(release, "first of its mode", "test")
    site.registry.download(release, tmp_path / "release")
    clock = tmp_path / "clock"
    wrong = replace(site, environment={**site.environment, **shift_clock(offset, clock)})
    instances = simulated(ROWS)[list(INPUTS[MODE])].to_numpy().tolist()
    settings = {"log_flush_seconds": 0.2}
    with serving(wrong, MODE, tmp_path / "release", tmp_path / "log", **settings) as server:
        for number in range(2):
            headers = {"Content-Type": "application/json", "X-Request-Id": f"request-{number}"}
            response = server.request("POST", V1, {"instances": instances}, headers)
            assert response.status == 200
            history.acknowledge(*(f"request-{number}/{row}" for row in range(ROWS)))
        eventually(lambda: "the clock of this machine differs" in server.log, 30)
        history.fire(f"the clock of the predictor was {offset} ahead")
        assert server.metric("skyclass_log_queue_rows") == 2 * ROWS
        with history.recovery():
            correct_clock(clock)
            eventually(
                lambda: server.metric('skyclass_log_rows_total{outcome="written"}') == 2 * ROWS, 60
            )
        assert server.stop() == 0
    now = datetime.now(UTC)
    logged = read_log(site.store, now - 2 * DAY, now + 2 * DAY, MODE, release.id).rows
    history.find(f"{row.request_id}/{row.row}" for row in logged.itertuples())

    def count_rows(time: datetime) -> int:
        verdict = run_drift(site.store, champions, MODE, time - HOUR, time + HOUR).verdict
        return verdict.accounting.rows_used

    assert (count_rows(now), count_rows(now + offset)) == (0, 2 * ROWS)
