"""Compaction and vacuum of Delta tables."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from deltalake import DeltaTable
from deltalake.table import TableOptimizer

from skyclass.maintenance import tables
from skyclass.maintenance.job import maintain
from skyclass.maintenance.settings import MaintenanceSettings
from skyclass.maintenance.tables import MaintainedTable, find_training_versions, maintain_table
from skyclass.registry.releases import Registry
from skyclass.scoring.inputs import open_input
from skyclass.scoring.score import score
from skyclass.storage.delta_errors import VersionMissingError
from skyclass.storage.delta_options import make_storage_options
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import KEY, Era
from skyclass.tables import OBSERVATIONS_URI
from skyclass.tables.observations import ObservationsTable
from tests.support.monitoring import draw_observations, ingest_rows
from tests.support.releases import draft, write_files
from tests.support.scoring import publish_tree, read_predictions

COLUMNS = [*KEY, "u", "class"]
BATCHES = 6
ROWS = draw_observations(Era.LEGACY, 70, seed=1)


@pytest.fixture
def filled(
    table: ObservationsTable,
    store: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> ObservationsTable:
    """A table of several small files, with a threshold that compacts them."""
    monkeypatch.setattr(tables, "MIN_SMALL_FILES", BATCHES)
    for number in range(BATCHES):
        ingest_rows(table, store, ROWS[number * 10 : number * 12 + 10], tmp_path)
    return table


def run(store: ObjectStore, **options: Any) -> MaintainedTable:
    given = {"keep_versions": set(), "days": 0, "dry_run": False, **options}
    return maintain_table(store, "observations", **given)


def read(table: ObservationsTable, version: int | None = None) -> pd.DataFrame:
    return table.read(table.version() if version is None else version, COLUMNS)


def list_data_files(store: ObjectStore) -> set[str]:
    keys = store.list_keys(store.settings.data_bucket, "observations/era=")
    return {key.removeprefix("observations/") for key in keys}


def test_small_files_are_compacted_and_replaced_ones_deleted(
    filled: ObservationsTable, store: ObjectStore
) -> None:
    before, files = read(filled), list_data_files(store)

    outcome = run(store)

    assert outcome.compacted >= BATCHES
    assert outcome.deleted == len(files)
    assert len(list_data_files(store)) == 1
    pd.testing.assert_frame_equal(read(filled), before)
    assert run(store) == MaintainedTable()


def test_few_small_files_are_not_compacted(
    filled: ObservationsTable, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MIN_SMALL_FILES", 100)
    assert run(store).compacted == 0


def test_versions_of_training_sets_stay_readable(
    filled: ObservationsTable, store: ObjectStore, tmp_path: Path
) -> None:
    kept = {Mode.SPECTROSCOPIC: 2, Mode.PHOTOMETRIC: 4}
    for mode, version in kept.items():
        trained_on = draft(mode).training_set.model_copy(update={"version": version})
        Registry(store).publish(draft(mode, training_set=trained_on), write_files(tmp_path / mode))
    before = {version: read(filled, version) for version in kept.values()}
    assert find_training_versions(store) == set(kept.values())

    outcome = run(store, keep_versions=find_training_versions(store))

    assert outcome.compacted
    for version, rows in before.items():
        pd.testing.assert_frame_equal(read(filled, version), rows)
    assert outcome.deleted == 0 or outcome.deleted < BATCHES


def test_version_that_no_release_names_is_lost_after_the_declared_days(
    filled: ObservationsTable, store: ObjectStore
) -> None:
    early = filled.version() - 1
    run(store, days=1)
    assert len(read(filled, early))
    run(store, days=0)
    with pytest.raises(VersionMissingError):
        read(filled, early)


def test_reader_that_opened_a_version_before_still_reads_it(
    filled: ObservationsTable, store: ObjectStore
) -> None:
    opened = DeltaTable(filled.uri, storage_options=make_storage_options(store.settings))
    maintain(store, MaintenanceSettings(), datetime.now(UTC))
    assert opened.version() < filled.version()
    assert opened.to_pyarrow_table().num_rows == len(read(filled))


def test_data_files_of_killed_jobs_are_deleted(
    filled: ObservationsTable, store: ObjectStore
) -> None:
    run(store)
    orphan = "observations/era=legacy/part-of-a-killed-job.parquet"
    store.put(store.settings.data_bucket, orphan, b"rows", "")
    assert run(store, days=1).deleted == 0
    assert run(store).deleted == 1
    assert orphan not in set(store.list_keys(store.settings.data_bucket, "observations/"))


def test_dry_run_changes_nothing(filled: ObservationsTable, store: ObjectStore) -> None:
    before = set(store.list_keys(store.settings.data_bucket, ""))
    assert run(store, dry_run=True).compacted >= BATCHES
    assert set(store.list_keys(store.settings.data_bucket, "")) == before


def test_table_that_does_not_exist_is_skipped(store: ObjectStore) -> None:
    assert maintain_table(store, "predictions", (), 7, dry_run=False) == MaintainedTable()


def test_maintenance_is_no_new_data(
    filled: ObservationsTable, store: ObjectStore, tmp_path: Path
) -> None:
    changed = filled.newest_data_version()
    assert changed == filled.version()
    run(store)
    assert filled.version() > changed
    assert filled.newest_data_version() == changed
    ingest_rows(filled, store, draw_observations(Era.LEGACY, 5, seed=2), tmp_path)
    assert filled.newest_data_version() == filled.version()


def test_ingest_after_compaction_finds_the_known_rows(
    filled: ObservationsTable, store: ObjectStore, tmp_path: Path
) -> None:
    ingest_rows(filled, store, ROWS, tmp_path)
    before = read(filled)
    run(store)
    ingest_rows(filled, store, ROWS.tail(69), tmp_path)
    pd.testing.assert_frame_equal(read(filled), before)


def test_change_by_another_writer_during_a_compaction_wins(
    filled: ObservationsTable,
    store: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    truth: list[pd.DataFrame] = []
    compact = TableOptimizer.compact

    def compact_late(*arguments: Any, **options: Any) -> dict[str, Any]:
        ingest_rows(filled, store, ROWS.head(30).assign(u=20.5), tmp_path)
        truth.append(read(filled))
        return compact(*arguments, **options)

    monkeypatch.setattr(TableOptimizer, "compact", compact_late)
    assert run(store).compacted == 0
    assert "compacted by the next run" in caplog.text
    pd.testing.assert_frame_equal(read(filled), truth[0])
    assert (truth[0]["u"] == 20.5).sum() == 30

    monkeypatch.undo()
    monkeypatch.setattr(tables, "MIN_SMALL_FILES", 2)
    assert run(store).compacted
    pd.testing.assert_frame_equal(read(filled), truth[0])


def test_scoring_after_compaction_changes_no_prediction(
    filled: ObservationsTable, store: ObjectStore, tmp_path: Path
) -> None:
    release = publish_tree(store, tmp_path / "release", Mode.SPECTROSCOPIC)
    score(store.settings, open_input(store.settings, OBSERVATIONS_URI), release)
    before = read_predictions(store.settings, release)
    run(store)
    maintain_table(store, "predictions", (), 0, dry_run=False)

    again = score(store.settings, open_input(store.settings, OBSERVATIONS_URI), release)

    assert (again.rows_in, again.inserted, again.updated) == (len(before), 0, 0)
    found = read_predictions(store.settings, release)
    columns = [name for name in before if name != "source"]
    pd.testing.assert_frame_equal(found[columns], before[columns])
