"""The drift job under faults: corrupt logs, duplicates, kills, two runs, empty windows."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from skyclass.apps.monitor.app import make_app
from skyclass.apps.monitor.state import StateReader
from skyclass.maintenance.merge import merge_hour
from skyclass.monitoring.accuracy_job import WindowAccuracy, update_accuracy
from skyclass.monitoring.decisions import Action, Decision
from skyclass.monitoring.documents import load_documents
from skyclass.monitoring.drift_job import run_drift
from skyclass.monitoring.loop import close_loop
from skyclass.monitoring.settings import RetrainingSettings
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import REPORT
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from skyclass.tables.log.layout import list_hour
from tests.support.faults.history import History
from tests.support.monitoring import (
    END,
    START,
    NoTrainer,
    draw_observations,
    make_log_rows,
    publish_reference,
    write_log_rows,
)
from tests.support.processes import (
    SIGKILL_EXIT_CODE,
    KillSwitch,
    run_concurrently,
    run_in_child,
)
from tests.support.releases import draft

MODE = Mode.SPECTROSCOPIC
DAY = END - START
NIGHT = timedelta(minutes=15)
"""Time between the end of a window and its evaluation."""
WRITES = 6
"""Report, snapshot, sample and verdict, then accuracy and decision; each has two kill points."""
KINDS = (DriftVerdict, WindowAccuracy, Decision)


def test_corrupt_log_files_are_counted_and_skipped(store: ObjectStore, tmp_path: Path) -> None:
    champions = LocalChampionStore(store)
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 1_000, seed=1))
    keys = write_log_rows(
        store, make_log_rows(draw_observations(Era.LEGACY, 1_000, seed=2), release.id)
    )
    bucket = store.settings.logs_bucket
    complete = store.get(bucket, keys[0])
    for name, data in {"text": b"not parquet", "empty": b"", "truncated": complete[:-100]}.items():
        key = keys[0].rsplit("/", 1)[0] + f"/{name}.parquet"
        store.put(bucket, key, data, "application/octet-stream")
    verdict = run_drift(store, champions, MODE, START, END).verdict
    assert verdict.verdict is Verdict.NO_DRIFT
    assert verdict.accounting.unreadable_files == 3
    assert verdict.accounting.rows_used == 1_000
    assert verdict.accounting.is_balanced


def test_rows_of_a_damaged_merged_file_are_counted(store: ObjectStore, tmp_path: Path) -> None:
    champions = LocalChampionStore(store)
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 1_000, seed=1))
    rows = make_log_rows(draw_observations(Era.LEGACY, 1_000, seed=2), release.id)
    write_log_rows(store, rows)
    hour = START + timedelta(hours=3)
    in_hour = int(rows["time"].between(hour, hour + timedelta(hours=1), inclusive="left").sum())
    assert merge_hour(store, hour).rows == in_hour > 0
    bucket, key = store.settings.logs_bucket, list_hour(store, hour)[0].key
    store.put(bucket, key, store.get(bucket, key)[:-100], "")
    accounting = run_drift(store, champions, MODE, START, END).verdict.accounting
    assert (accounting.unreadable_files, accounting.unreadable_rows) == (1, in_hour)
    assert accounting.rows_used == 1_000 - in_hour
    assert (
        accounting.describe_unreadable() == f"1 unreadable log files with at least {in_hour} rows"
    )

    half_hour = START + timedelta(hours=3, minutes=30)
    part = run_drift(store, champions, MODE, START, half_hour).verdict.accounting
    assert (part.unreadable_files, part.unreadable_rows) == (1, 0)  # those in the window: unknown


def test_many_sentinels_are_a_data_quality_problem_not_drift(
    store: ObjectStore, tmp_path: Path
) -> None:
    champions = LocalChampionStore(store)
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 1_000, seed=1))
    rows = make_log_rows(draw_observations(Era.LEGACY, 1_000, seed=2), release.id)
    rows.loc[700:, ["u", "z"]] = -9999.0
    write_log_rows(store, rows)
    verdict = run_drift(store, champions, MODE, START, END).verdict
    assert verdict.verdict is Verdict.DATA_QUALITY
    assert verdict.accounting.rejected == 300
    # The valid rows are compared nevertheless, without the sentinels.
    assert not any(each.drifted for each in verdict.columns.values())


def test_retried_requests_are_counted_once(store: ObjectStore, tmp_path: Path) -> None:
    champions = LocalChampionStore(store)
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 1_000, seed=1))
    rows = make_log_rows(draw_observations(Era.LEGACY, 1_000, seed=2), release.id)
    rows = rows.assign(idempotency_key="key")
    write_log_rows(store, rows)
    once = run_drift(store, champions, MODE, START, END).verdict
    write_log_rows(store, rows.assign(prediction_id="retry"))
    twice = run_drift(store, champions, MODE, START, END).verdict
    assert twice.accounting.duplicates == 1_000
    assert twice.accounting.is_balanced
    assert twice.columns == once.columns


def run_job(store: ObjectStore) -> list[str]:
    """Evaluate the window, measure its accuracy and decide, and return what this acknowledges."""
    champions = LocalChampionStore(store)
    run_drift(store, champions, MODE, START, END)
    update_accuracy(store, champions, MODE)
    close_loop(store, champions, MODE, NoTrainer(), RetrainingSettings(), END + NIGHT)
    return [f"{kind.file_name} {END}" for kind in KINDS]


def list_documents(store: ObjectStore) -> list[str]:
    """Return the documents of all windows."""
    return [
        f"{kind.file_name} {each.window_end}"
        for kind in KINDS
        for each in load_documents(store, kind, MODE)
    ]


def run_until_killed(kill_point: int, settings: Settings) -> None:
    """Run the job in a child process that is killed at a kill point."""
    ObjectStore.put = KillSwitch(kill_point).wrap(ObjectStore.put)
    run_job(ObjectStore(settings))


def run_at_once(settings: Settings, start: Any, results: Any) -> None:
    """Evaluate the window in a child process at the same time as another."""
    store = ObjectStore(settings)
    start.wait()
    results.put(run_drift(store, LocalChampionStore(store), MODE, START, END).verdict)


def list_windows(store: ObjectStore, mode: Mode = MODE) -> list[str]:
    """Return the windows that have a verdict."""
    return [str(each.window_start) for each in load_documents(store, DriftVerdict, mode)]


@pytest.mark.fault("drift-killed")
@pytest.mark.parametrize("kill_point", [*range(0, 2 * WRITES, 2), 2 * WRITES - 1])
def test_next_run_completes_a_killed_one(
    kill_point: int, store: ObjectStore, tmp_path: Path, history: History
) -> None:
    champions = LocalChampionStore(store)
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 300, seed=1))
    write_log_rows(store, make_log_rows(draw_observations(Era.LEGACY, 300, seed=2), release.id))
    exit_code = run_in_child(run_until_killed, kill_point, store.settings)
    assert exit_code == SIGKILL_EXIT_CODE
    history.fire("the drift job ended with SIGKILL")
    written = (kill_point + 1) // 2
    assert len(list_documents(store)) == max(written - (WRITES - len(KINDS)), 0)
    with history.recovery():
        history.acknowledge(*run_job(store))
    history.find(list_documents(store))


@pytest.mark.fault("two-runs-of-a-job")
def test_two_runs_at_once_make_one_verdict(
    store: ObjectStore, tmp_path: Path, history: History
) -> None:
    champions = LocalChampionStore(store)
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 300, seed=1))
    write_log_rows(store, make_log_rows(draw_observations(Era.LEGACY, 300, seed=2), release.id))
    one, other = run_concurrently(run_at_once, (store.settings,), (store.settings,))
    history.fire("two drift jobs ran at once")
    assert one == other
    history.acknowledge(str(one.window_start))
    with history.recovery():
        assert run_drift(store, champions, MODE, START, END).verdict == one
    history.find(list_windows(store))


@pytest.mark.fault("empty-window")
@pytest.mark.parametrize("mode", Mode)
def test_empty_window_has_a_verdict_and_starts_no_training(
    mode: Mode, store: ObjectStore, tmp_path: Path, history: History
) -> None:
    champions = LocalChampionStore(store)
    observations = draw_observations(Era.LEGACY, 1_000, seed=1)
    release = publish_reference(champions, tmp_path, observations, mode)
    empty = run_drift(store, champions, mode, START, END).verdict
    history.fire(f"the {mode} window from {START} has {empty.accounting.rows_in} rows")
    history.acknowledge(str(START))
    assert (empty.verdict, empty.accounting.rows_in) == (Verdict.INSUFFICIENT_DATA, 0)
    (accuracy,) = update_accuracy(store, champions, mode)
    assert (accuracy.answers, accuracy.measured) == (0, None)
    now = END + NIGHT
    decision = close_loop(store, champions, mode, NoTrainer(), RetrainingSettings(), now)
    assert decision.action is Action.WAIT
    page = TestClient(make_app(StateReader(store, champions), lambda: now))
    for path in ("", f"{mode}/", f"{mode}/accuracy", f"{mode}/decisions"):
        assert page.get(f"/{path}").status_code == 200
    metrics = page.get("/metrics").text
    assert f'skyclass_drift_window_rows{{mode="{mode}"}} 0.0' in metrics
    assert "nan" not in metrics.lower()

    later = make_log_rows(draw_observations(Era.LEGACY, 1_000, seed=2), release.id, mode)
    write_log_rows(store, later.assign(time=later["time"] + DAY))
    with history.recovery():
        full = run_drift(store, champions, mode, END, END + DAY).verdict
    assert full.accounting.rows_used == 1_000
    history.acknowledge(str(END))
    history.find(list_windows(store, mode))


def test_release_without_a_reference_gives_an_error_verdict(
    store: ObjectStore, tmp_path: Path
) -> None:
    champions = LocalChampionStore(store)
    (tmp_path / REPORT).write_bytes(b"report")
    release = champions.registry.publish(draft(MODE), {REPORT: tmp_path / REPORT})
    champions.promote(release, "a test", "test")
    write_log_rows(store, make_log_rows(draw_observations(Era.LEGACY, 1_000, seed=2), release.id))
    verdict = run_drift(store, champions, MODE, START, END).verdict
    assert verdict.verdict is Verdict.ERROR
    assert "has no file reference.parquet: train and publish a new release" in verdict.reason
    assert verdict.accounting.rows_used == 1_000
    assert load_documents(store, DriftVerdict, MODE) == [verdict]
