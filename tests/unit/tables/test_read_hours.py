"""Reading the prediction log while its files are merged, deleted or damaged."""

import io
from collections.abc import Callable, Iterator
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skyclass.maintenance.merge import merge_hour
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore, StoredObject
from skyclass.survey.features import Mode
from skyclass.tables.log.layout import (
    HourIndex,
    LogDamagedError,
    MergedFile,
    list_hour,
    make_hour_prefix,
)
from skyclass.tables.log.read import LogWindow, read_log
from skyclass.tables.log.recent import find_last_write, read_recent_predictions
from skyclass.tables.log.sample import sample_log
from tests.support.maintenance import HOUR, PHOTOMETRIC, SPECTROSCOPIC, write_files

END = HOUR + timedelta(hours=1)
MODE = Mode.SPECTROSCOPIC

READERS: dict[str, Callable[[ObjectStore], int]] = {
    "window": lambda store: len(read_log(store, HOUR, END, MODE, SPECTROSCOPIC).rows),
    "sample": lambda store: len(sample_log(store, HOUR, END, MODE, SPECTROSCOPIC, 1_000, seed=0)),
    "recent": lambda store: len(read_recent_predictions(store, MODE, 1_000, END).rows),
}
every_reader = pytest.mark.parametrize("count_rows", READERS.values(), ids=READERS)


class MergingStore(ObjectStore):
    """A store in which another process merges an hour and deletes its files once it is listed.

    Attributes:
        merged: Whether it has done so.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.merged = False

    def list_objects(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        yield from super().list_objects(bucket, prefix)
        if not self.merged:
            self.merged = True
            other = ObjectStore(self.settings)
            merge_hour(other, HOUR)
            other.delete(bucket, _list_small_files(other))


def _list_small_files(store: ObjectStore) -> list[str]:
    prefix = make_hour_prefix(HOUR)
    names = store.list_keys(store.settings.logs_bucket, prefix)
    return [key for key in names if "/" not in key.removeprefix(prefix) and "index" not in key]


def read_window(store: ObjectStore, release: str = SPECTROSCOPIC, mode: Mode = MODE) -> LogWindow:
    return read_log(store, HOUR, END, mode, release)


@every_reader
def test_hour_is_read_again_if_its_files_are_deleted(
    store: ObjectStore, count_rows: Callable[[ObjectStore], int]
) -> None:
    write_files(store)
    before = count_rows(store)
    merging = MergingStore(store.settings)
    assert count_rows(merging) == before == 40
    assert merging.merged
    assert _list_small_files(store) == []


@every_reader
def test_late_file_is_read_beside_the_merged_one(
    store: ObjectStore, count_rows: Callable[[ObjectStore], int]
) -> None:
    write_files(store)
    merge_hour(store, HOUR)
    write_files(store, files=2, first_seed=9)
    assert count_rows(store) == 60


@every_reader
def test_missing_merged_file_is_an_error(
    store: ObjectStore, count_rows: Callable[[ObjectStore], int]
) -> None:
    write_files(store)
    merge_hour(store, HOUR)
    merged = [file.key for file in list_hour(store, HOUR)]
    store.delete(store.settings.logs_bucket, merged)
    with pytest.raises(LogDamagedError, match=r"merged/.* index.json names it: restore it"):
        count_rows(store)


def test_rows_of_other_releases_are_counted_without_reading_them(store: ObjectStore) -> None:
    prefix, bucket = make_hour_prefix(HOUR), store.settings.logs_bucket
    absent = MergedFile(name="merged/x.parquet", mode=MODE, model_version="other", rows=7)
    index = HourIndex(merged=(absent,))
    store.put(bucket, prefix + HourIndex.file_name, index.to_bytes(), "application/json")
    found = read_window(store)
    assert (len(found.rows), found.files, found.other_releases) == (0, 0, {"other": 7})
    assert read_window(store, PHOTOMETRIC, Mode.PHOTOMETRIC).other_releases == {}


def test_part_of_a_merged_hour_is_read(store: ObjectStore) -> None:
    write_files(store)
    middle = HOUR + timedelta(minutes=30)
    before = read_log(store, HOUR, middle, MODE, SPECTROSCOPIC).rows
    merge_hour(store, HOUR)
    after = read_log(store, HOUR, middle, MODE, SPECTROSCOPIC).rows
    assert 0 < len(after) < 40
    assert sorted(after["prediction_id"]) == sorted(before["prediction_id"])


def test_text_that_is_not_utf8_makes_a_file_unreadable(store: ObjectStore) -> None:
    write_files(store)
    damaged = pa.table({"request_id": pa.array([b"\xff"]), "time": pa.array([HOUR])})
    sink = io.BytesIO()
    pq.write_table(damaged, sink)
    key = make_hour_prefix(HOUR) + "damaged.parquet"
    store.put(store.settings.logs_bucket, key, sink.getvalue(), "")
    found = read_window(store)
    assert (len(found.rows), found.unreadable) == (40, (key,))


def test_damaged_merged_file_is_unreadable(store: ObjectStore) -> None:
    write_files(store)
    merge_hour(store, HOUR)
    bucket = store.settings.logs_bucket
    (key,) = (
        file.key for file in list_hour(store, HOUR) if file.merged and file.merged.mode is MODE
    )
    store.put(bucket, key, store.get(bucket, key)[:-100], "")
    found = read_window(store)
    assert (len(found.rows), found.unreadable) == (0, (key,))


def test_last_write_of_a_merged_hour_is_its_end(store: ObjectStore) -> None:
    now = END + timedelta(hours=3)
    assert find_last_write(store, now) is None
    write_files(store)
    assert find_last_write(store, now) == now  # the files of this test are written later
    merge_hour(store, HOUR)
    store.delete(store.settings.logs_bucket, _list_small_files(store))
    assert find_last_write(store, now) == END
