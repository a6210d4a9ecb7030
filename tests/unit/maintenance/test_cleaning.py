"""Deleting replaced files of the prediction log."""

from datetime import UTC, datetime, timedelta

import pytest

from skyclass.errors import StoreError
from skyclass.maintenance.cleaning import find_replaced
from skyclass.maintenance.hours import LATENESS, find_hours
from skyclass.maintenance.merge import GRACE, find_index, merge_hour
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.log.layout import make_hour_prefix
from tests.support.maintenance import HOUR, read_hour, write_files

PREFIX = make_hour_prefix(HOUR)


def later(time: timedelta = GRACE) -> datetime:
    return datetime.now(UTC) + time + timedelta(minutes=1)


def test_replaced_files_are_deleted_after_a_grace_period(store: ObjectStore) -> None:
    keys = write_files(store)
    truth = read_hour(store)
    assert find_replaced(store, HOUR, later()) == []
    merge_hour(store, HOUR)
    assert find_replaced(store, HOUR, datetime.now(UTC)) == []

    found = find_replaced(store, HOUR, later())
    assert found == sorted(keys)

    store.delete(store.settings.logs_bucket, found)
    assert read_hour(store) == truth
    assert find_replaced(store, HOUR, later()) == []


def test_late_and_unreadable_files_are_kept(store: ObjectStore) -> None:
    damaged = f"{PREFIX}damaged.parquet"
    store.put(store.settings.logs_bucket, damaged, b"no Parquet", "")
    write_files(store, files=2)
    merge_hour(store, HOUR)
    late = write_files(store, files=1, first_seed=9)
    assert not {damaged, *late} & set(find_replaced(store, HOUR, later()))


def test_superseded_merged_files_are_deleted(store: ObjectStore) -> None:
    write_files(store, files=2)
    merge_hour(store, HOUR)
    first = {PREFIX + each.name for each in find_index(store, PREFIX).merged}
    write_files(store, files=1, first_seed=9)
    merge_hour(store, HOUR)
    current = {PREFIX + each.name for each in find_index(store, PREFIX).merged}
    assert first - current
    assert first - current <= set(find_replaced(store, HOUR, later()))
    assert not current & set(find_replaced(store, HOUR, later()))


def test_merged_file_without_an_index_is_deleted_after_the_grace_period(
    store: ObjectStore,
) -> None:
    write_files(store)
    orphan = f"{PREFIX}merged/{'0' * 64}.parquet"
    store.put(store.settings.logs_bucket, orphan, b"of a killed run", "")
    assert find_replaced(store, HOUR, datetime.now(UTC)) == []
    assert find_replaced(store, HOUR, later()) == [orphan]


def test_run_that_deletes_files_of_a_killed_run_does_not_delete_those_of_another(
    store: ObjectStore,
) -> None:
    write_files(store)
    truth = read_hour(store)
    bucket = store.settings.logs_bucket
    merge_hour(store, HOUR)
    store.delete(bucket, [f"{PREFIX}index.json"])  # as if killed before it was written
    found = find_replaced(store, HOUR, later())
    assert found
    merge_hour(store, HOUR)
    store.delete(bucket, found)
    assert read_hour(store) == truth


def test_nothing_is_deleted_while_a_merged_file_is_missing(store: ObjectStore) -> None:
    write_files(store)
    merge_hour(store, HOUR)
    lost = PREFIX + find_index(store, PREFIX).merged[0].name
    store.delete(store.settings.logs_bucket, [lost])
    with pytest.raises(StoreError, match=f"{lost} is missing: restore it"):
        find_replaced(store, HOUR, later())


def test_an_hour_needs_maintenance_when_it_has_ended_until_it_is_settled(
    store: ObjectStore,
) -> None:
    keys = write_files(store)
    end = HOUR + timedelta(hours=1)
    assert list(find_hours(store, end + LATENESS - timedelta(seconds=1))) == []
    assert list(find_hours(store, end + LATENESS)) == [HOUR]
    merge_hour(store, HOUR)
    assert list(find_hours(store, later(timedelta(days=8)))) == [HOUR]
    store.delete(store.settings.logs_bucket, keys)
    assert list(find_hours(store, later())) == [HOUR]
    assert list(find_hours(store, later(timedelta(days=8)))) == []
