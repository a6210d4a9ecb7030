"""Maintenance that is killed, or runs beside readers and itself, loses and doubles no row."""

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from deltalake import DeltaTable
from deltalake.table import TableOptimizer

from skyclass.errors import StoreError
from skyclass.maintenance import merge, tables
from skyclass.maintenance.job import maintain
from skyclass.maintenance.merge import GRACE, merge_hour
from skyclass.maintenance.settings import MaintenanceSettings
from skyclass.maintenance.tables import maintain_table
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.observation import KEY, Era
from skyclass.tables.log.layout import HourIndex, list_hour, make_hour_prefix
from skyclass.tables.observations import ObservationsTable
from tests.support.faults.history import History
from tests.support.maintenance import HOUR, name_log_rows, read_hour, write_files
from tests.support.monitoring import draw_observations, ingest_rows
from tests.support.processes import (
    SIGKILL_EXIT_CODE,
    KillSwitch,
    run_concurrently,
    run_in_child,
)
from tests.support.rows import name_rows

PREFIX = make_hour_prefix(HOUR)
FILES = 4
KEPT_VERSION = 1
"""Version of the observations table that a release was trained on."""
MERGE_KILL_POINTS = 6
"""Before and after the upload of two merged files, and before and after the write of the index."""


def run(settings: Settings, later: timedelta = timedelta(0)) -> None:
    """Run the job at a later time."""
    maintain(ObjectStore(settings), MaintenanceSettings(), datetime.now(UTC) + later)


def wrap_deletion(switch: KillSwitch) -> Callable[[ObjectStore, str, Iterable[str]], None]:
    """Return the deletion of objects with kill points at each of them."""
    delete_one = switch.wrap(ObjectStore.delete)

    def delete(store: ObjectStore, bucket: str, keys: Iterable[str]) -> None:
        for key in keys:
            delete_one(store, bucket, [key])

    return delete


def run_until_killed(kill_point: int, settings: Settings, later: timedelta) -> None:
    """Run the job in a child process that is killed at a kill point."""
    switch = KillSwitch(kill_point)
    ObjectStore.upload = switch.wrap(ObjectStore.upload)
    ObjectStore.put = switch.wrap(ObjectStore.put)
    ObjectStore.delete = wrap_deletion(switch)
    run(settings, later)


def maintain_table_until_killed(kill_point: int, settings: Settings) -> None:
    """Maintain the table in a child process that is killed at a kill point."""
    switch = KillSwitch(kill_point)
    tables.MIN_SMALL_FILES = 2
    TableOptimizer.compact = switch.wrap(TableOptimizer.compact)
    DeltaTable.create_checkpoint = switch.wrap(DeltaTable.create_checkpoint)
    ObjectStore.delete = wrap_deletion(switch)
    maintain_table(ObjectStore(settings), "observations", {KEPT_VERSION}, 0, dry_run=False)


def run_at_once(settings: Settings, start: threading.Barrier, results: object) -> None:
    """Run the job in a child process together with others."""
    start.wait()
    run(settings)
    results.put(None)


def list_names(store: ObjectStore) -> set[str]:
    keys = store.list_keys(store.settings.logs_bucket, PREFIX)
    return {key.removeprefix(PREFIX) for key in keys}


def assert_only_merged_files_are_left(store: ObjectStore) -> None:
    merged = {each.merged.name for each in list_hour(store, HOUR) if each.merged}
    assert list_names(store) == {HourIndex.file_name, *merged}


def kill_run(kill_point: int, store: ObjectStore, later: timedelta, history: History) -> list[str]:
    """Kill a run at a kill point, and check that readers see the same rows as before.

    Returns:
        These rows.
    """
    truth = read_hour(store)
    history.acknowledge(*name_log_rows(store))
    killed = run_in_child(run_until_killed, kill_point, store.settings, later)
    assert killed == SIGKILL_EXIT_CODE
    history.fire("the job ended with SIGKILL")
    assert read_hour(store) == truth
    return truth


def complete(store: ObjectStore, truth: list[str], history: History) -> None:
    """Run the job now and later, and check that no row of the log is lost or doubled."""
    with history.recovery():
        run(store.settings)
    assert read_hour(store) == truth
    run(store.settings, 2 * GRACE)
    assert read_hour(store) == truth
    history.find(name_log_rows(store))
    assert_only_merged_files_are_left(store)


@pytest.mark.fault("maintain-killed")
@pytest.mark.parametrize("kill_point", range(MERGE_KILL_POINTS))
def test_merge_that_is_killed(kill_point: int, store: ObjectStore, history: History) -> None:
    write_files(store, FILES)
    truth = kill_run(kill_point, store, timedelta(0), history)
    complete(store, truth, history)


@pytest.mark.fault("maintain-killed")
@pytest.mark.parametrize("kill_point", [0, 1, FILES, 2 * FILES - 1])
def test_deletion_that_is_killed(kill_point: int, store: ObjectStore, history: History) -> None:
    write_files(store, FILES)
    run(store.settings)
    truth = kill_run(kill_point, store, 2 * GRACE, history)
    deleted = (kill_point + 1) // 2
    assert len(list_names(store)) == FILES - deleted + len(list_hour(store, HOUR)) + 1
    complete(store, truth, history)


@pytest.mark.fault("maintain-killed")
@pytest.mark.parametrize("kill_point", range(4))
def test_merge_of_a_late_file_that_is_killed(
    kill_point: int, store: ObjectStore, history: History
) -> None:
    write_files(store, FILES)
    run(store.settings)
    run(store.settings, 2 * GRACE)
    write_files(store, files=1, first_seed=9)
    truth = kill_run(kill_point, store, 2 * GRACE, history)
    complete(store, truth, history)


@pytest.mark.fault("two-runs-of-a-job")
def test_runs_at_the_same_time(store: ObjectStore, history: History) -> None:
    write_files(store, FILES)
    truth = read_hour(store)
    history.acknowledge(*name_log_rows(store))
    run_concurrently(run_at_once, (store.settings,), (store.settings,), (store.settings,))
    history.fire("three maintenance jobs ran at once")
    assert read_hour(store) == truth
    complete(store, truth, history)


class SlowStore(ObjectStore):
    """A store in which something happens before the index is written."""

    before_index: Callable[[], None]

    def put(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        if key.endswith(HourIndex.file_name):
            self.before_index()
        super().put(bucket, key, data, content_type)


def test_slow_run_overwrites_the_index_of_a_run_that_read_more_files(store: ObjectStore) -> None:
    write_files(store, FILES)
    slow, truths = SlowStore(store.settings), []

    def merge_more() -> None:
        write_files(store, files=2, first_seed=9)
        truths.append(read_hour(store))
        merge_hour(store, HOUR)
        run(store.settings)  # deletes nothing, because the index is young
        assert read_hour(store) == truths[0]

    slow.before_index = merge_more
    merge_hour(slow, HOUR)

    assert read_hour(store) == truths[0]
    for _ in range(2):  # deletes and merges the late files again, then deletes these
        run(store.settings, 2 * GRACE)
        assert read_hour(store) == truths[0]
    assert_only_merged_files_are_left(store)


def test_run_that_is_too_slow_does_not_write_its_index(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(store, FILES)
    truth = read_hour(store)
    monkeypatch.setattr(merge, "MAX_SECONDS", 0)
    with pytest.raises(StoreError, match="took longer than 0 s: run it again"):
        merge_hour(store, HOUR)
    assert HourIndex.file_name not in list_names(store)
    assert read_hour(store) == truth


def test_readers_beside_merges_and_deletions_see_every_row_once(store: ObjectStore) -> None:
    write_files(store, FILES)
    states, reads, stop = [read_hour(store)], [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            reads.append(read_hour(store))

    reader = threading.Thread(target=read)
    reader.start()
    for seed in range(9, 14):
        run(store.settings)
        run(store.settings, 2 * GRACE)
        write_files(store, files=1, first_seed=seed)
        states.append(read_hour(store))
    stop.set()
    reader.join()

    seen = [states.index(rows) for rows in reads]  # fails if a row is lost or doubled
    assert seen == sorted(seen)
    assert len(seen) > len(states)


@pytest.mark.fault("maintain-killed")
@pytest.mark.parametrize("kill_point", range(8))
def test_table_maintenance_that_is_killed(
    kill_point: int,
    table: ObservationsTable,
    store: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    history: History,
) -> None:
    rows = draw_observations(Era.LEGACY, 60, seed=1)
    for end in (20, 40, 60):
        ingest_rows(table, store, rows.head(end).assign(u=18 + end / 100), tmp_path)
    columns = [*KEY, "u"]
    truth, kept = table.read(table.version(), columns), table.read(KEPT_VERSION, columns)

    history.acknowledge(*name_rows(truth))

    killed = run_in_child(maintain_table_until_killed, kill_point, store.settings)
    assert killed == SIGKILL_EXIT_CODE
    history.fire("the maintenance of the table ended with SIGKILL")

    def check() -> None:
        pd.testing.assert_frame_equal(table.read(table.version(), columns), truth)
        pd.testing.assert_frame_equal(table.read(KEPT_VERSION, columns), kept)

    check()
    monkeypatch.setattr(tables, "MIN_SMALL_FILES", 2)
    with history.recovery():
        maintain_table(store, "observations", {KEPT_VERSION}, 0, dry_run=False)
    check()
    history.find(name_rows(table.read(table.version(), columns)))
    assert maintain_table(store, "observations", {KEPT_VERSION}, 0, dry_run=False).deleted == 0
