"""The maintenance job."""

from datetime import UTC, datetime, timedelta

import pytest

from skyclass.errors import StoreError
from skyclass.maintenance import merge
from skyclass.maintenance.job import MaintenanceResult, maintain
from skyclass.maintenance.merge import GRACE, find_index
from skyclass.maintenance.settings import MaintenanceSettings
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.log.layout import HourIndex, make_hour_prefix
from tests.support.maintenance import HOUR, read_hour, write_files

PREFIX = make_hour_prefix(HOUR)


def run(
    store: ObjectStore, later: timedelta = timedelta(0), dry_run: bool = False, **days: int
) -> MaintenanceResult:
    now = datetime.now(UTC) + later
    return maintain(store, MaintenanceSettings(**days), now, dry_run)


def list_objects(store: ObjectStore) -> dict[str, datetime]:
    buckets = store.settings.buckets
    return {found.key: found.written for each in buckets for found in store.list_objects(each, "")}


def test_result_counts_what_was_done(store: ObjectStore) -> None:
    write_files(store, files=4)
    store.put(store.settings.logs_bucket, f"{PREFIX}damaged.parquet", b"no Parquet", "")
    first = run(store)
    assert (first.hours_merged, first.files_merged, first.files_written) == (1, 4, 2)
    assert (first.rows, first.unreadable_files, first.replaced_deleted) == (80, 1, 0)
    assert first.bytes_written < first.bytes_merged
    second = run(store, GRACE * 2)
    assert (second.hours_merged, second.replaced_deleted, second.unreadable_files) == (0, 4, 1)
    third = run(store, timedelta(days=300), log_days=16)
    assert third.expired_deleted == 4  # two merged files, the index and the unreadable file
    assert list_objects(store) == {}
    assert run(store) == MaintenanceResult()


def test_dry_run_reports_and_changes_nothing(store: ObjectStore) -> None:
    write_files(store, files=4)
    before = list_objects(store)
    found = run(store, timedelta(days=300), dry_run=True, log_days=16)
    assert (found.hours_merged, found.files_merged, found.expired_deleted) == (1, 4, 4)
    assert list_objects(store) == before


def test_hour_that_cannot_be_merged_in_time_does_not_keep_others_from_being_merged(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_hour = HOUR + timedelta(hours=1)
    write_files(store)
    write_files(store, first_seed=9, hour=next_hour)
    monkeypatch.setattr(merge, "MAX_SECONDS", 0)
    with pytest.raises(StoreError, match=r"failed hours of the log: 2, .* took longer than 0 s"):
        run(store)
    monkeypatch.undo()
    assert run(store).hours_merged == 2


@pytest.mark.parametrize("damage", ["missing file", "malformed index"])
def test_damaged_hour_does_not_keep_others_from_being_merged(
    damage: str, store: ObjectStore
) -> None:
    bucket, next_hour = store.settings.logs_bucket, HOUR + timedelta(hours=1)
    write_files(store)
    run(store)
    if damage == "missing file":
        store.delete(bucket, [PREFIX + find_index(store, PREFIX).merged[0].name])
    else:
        store.put(bucket, PREFIX + HourIndex.file_name, b"{}}", "")
    write_files(store, hour=next_hour)
    truth = read_hour(store, next_hour)
    before = set(list_objects(store))

    with pytest.raises(StoreError, match=f"damaged hours of the log: 1, .*{PREFIX}"):
        run(store, GRACE * 2)

    assert before <= set(list_objects(store))
    assert find_index(store, make_hour_prefix(next_hour)).merged
    assert read_hour(store, next_hour) == truth
