"""Merging the files of an hour of the prediction log."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from skyclass.errors import StoreError
from skyclass.maintenance import merged_file
from skyclass.maintenance.hours import find_hours
from skyclass.maintenance.merge import MergedHour, find_index, merge_hour
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.log.layout import list_hour, make_hour_prefix
from skyclass.tables.log.recent import read_recent_predictions
from tests.support.maintenance import HOUR, RELEASES, make_hour, read_hour, write_files
from tests.support.monitoring import write_log_rows

PREFIX = make_hour_prefix(HOUR)


def list_keys(store: ObjectStore) -> list[str]:
    return list(store.list_keys(store.settings.logs_bucket, PREFIX))


def test_merged_hour_has_one_sorted_file_for_each_release(store: ObjectStore) -> None:
    keys = write_files(store, files=6)
    truth = read_hour(store)

    merged = merge_hour(store, HOUR)

    assert (merged.files, merged.written, merged.rows, merged.unreadable) == (6, 2, 120, 0)
    assert 0 < merged.bytes_out < merged.bytes_in
    assert read_hour(store) == truth
    files = list_hour(store, HOUR)
    assert {(each.merged.model_version, each.merged.mode) for each in files if each.merged} == set(
        RELEASES.items()
    )
    for file in files:
        rows = pq.read_table(io.BytesIO(store.get(store.settings.logs_bucket, file.key)))
        times = rows["time"].to_pylist()
        assert times == sorted(times)
        assert file.merged is not None
        assert len(times) == file.merged.rows
        assert set(rows["model_version"].to_pylist()) == {file.merged.model_version}
    assert set(keys) <= set(list_keys(store))  # readers may still read them


def test_merge_is_idempotent(store: ObjectStore) -> None:
    write_files(store)
    merge_hour(store, HOUR)
    before = list_keys(store)
    assert merge_hour(store, HOUR) == MergedHour()
    assert list_keys(store) == before


def test_late_file_is_merged_with_the_merged_file_of_its_release(store: ObjectStore) -> None:
    write_files(store)
    merge_hour(store, HOUR)
    first = find_index(store, PREFIX)
    (late,) = write_files(store, files=1, first_seed=9)
    truth = read_hour(store)

    merged = merge_hour(store, HOUR)

    assert (merged.files, merged.written, merged.rows) == (1, 1, 60)

    assert read_hour(store) == truth
    index = find_index(store, PREFIX)
    kept = set(index.merged) & set(first.merged)
    (superseded,) = {each.name for each in first.merged} - {each.name for each in kept}
    assert set(index.replaced) == {*first.replaced, late.removeprefix(PREFIX), superseded}


def test_merged_file_of_full_row_groups_has_no_empty_one(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merged_file, "ROW_GROUP_ROWS", 20)
    write_files(store, rows=20)
    merge_hour(store, HOUR)

    for file in list_hour(store, HOUR):
        data = store.get(store.settings.logs_bucket, file.key)
        groups = pq.ParquetFile(io.BytesIO(data)).metadata
        assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [20, 20]
    page = read_recent_predictions(store, Mode.PHOTOMETRIC, 10, HOUR + timedelta(hours=2))
    assert len(page.rows) == 10


def test_unreadable_file_stays(store: ObjectStore, caplog: pytest.LogCaptureFixture) -> None:
    write_files(store, files=2)
    damaged = f"{PREFIX}damaged.parquet"
    store.put(store.settings.logs_bucket, damaged, b"no Parquet", "")

    assert merge_hour(store, HOUR).unreadable == 1

    assert [each.key for each in list_hour(store, HOUR) if each.merged is None] == [damaged]
    assert f"{damaged} cannot be merged, it stays as it is: " in caplog.text
    assert merge_hour(store, HOUR) == MergedHour(unreadable=1)


def test_write_that_is_repeated_after_the_merge_is_not_counted_again(store: ObjectStore) -> None:
    (key, *_) = write_files(store)
    data = store.get(store.settings.logs_bucket, key)
    truth = read_hour(store)
    merge_hour(store, HOUR)
    store.delete(store.settings.logs_bucket, [key])

    store.put(store.settings.logs_bucket, key, data, "")

    assert read_hour(store) == truth
    assert merge_hour(store, HOUR) == MergedHour()


def test_damaged_merged_file_is_an_error(store: ObjectStore) -> None:
    write_files(store)
    merge_hour(store, HOUR)
    for file in find_index(store, PREFIX).merged:
        store.put(store.settings.logs_bucket, PREFIX + file.name, b"no Parquet", "")
    write_files(store, files=1, first_seed=9)

    with pytest.raises(StoreError, match=r"merged/\w+\.parquet is missing or damaged .*restore it"):
        merge_hour(store, HOUR)


def test_hour_without_files_gets_no_index(store: ObjectStore) -> None:
    assert merge_hour(store, HOUR + timedelta(hours=1)) == MergedHour()
    assert not list(store.list_keys(store.settings.logs_bucket, ""))


def test_name_of_a_release_is_no_path(store: ObjectStore) -> None:
    rows = make_hour(HOUR, "../" * 20 + "x" * 300, Mode.PHOTOMETRIC, 5, seed=1)
    write_log_rows(store, rows)
    truth = read_hour(store)
    assert merge_hour(store, HOUR).written == 1
    assert read_hour(store) == truth


@pytest.mark.parametrize("change", [{"mode": "other"}, {"model_version": None}])
def test_file_with_rows_of_no_release_stays(
    change: dict[str, str | None], store: ObjectStore
) -> None:
    rows = make_hour(HOUR, "a" * 64, Mode.PHOTOMETRIC, 5, seed=1)
    write_log_rows(store, rows.assign(**change))
    assert merge_hour(store, HOUR) == MergedHour(unreadable=1)


def test_rows_of_version_0_1_0_keep_their_meaning(store: ObjectStore) -> None:
    folder = Path(__file__).resolve().parents[2] / "data/v0.1.0/logs"
    for path in folder.rglob("*.parquet"):
        key = path.relative_to(folder).as_posix()
        store.put(store.settings.logs_bucket, key, path.read_bytes(), "")
    hours = list(find_hours(store, datetime.now(UTC)))
    truth = {hour: read_hour(store, hour) for hour in hours}
    assert sum(map(len, truth.values())) > 1_000
    for hour, rows in truth.items():
        assert merge_hour(store, hour).written
        assert read_hour(store, hour) == rows
