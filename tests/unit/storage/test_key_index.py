"""The key index finds new keys without a join, and never reports a known key as new."""

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from skyclass.storage import key_index
from skyclass.storage.key_index import KeyIndex

KEY = ("plate", "fiber_id")


def make_rows(*plates: int) -> pa.Table:
    return pa.table({"plate": pa.array(plates, pa.int32()), "fiber_id": [1] * len(plates)})


@pytest.fixture
def table(tmp_path_factory: pytest.TempPathFactory) -> DeltaTable:
    """A table of three files, with plates 1 and 9, 5 and 6, and 20 to 29."""
    path = str(tmp_path_factory.mktemp("table"))
    for plates in ((1, 9), (5, 6), range(20, 30)):
        write_deltalake(path, make_rows(*plates), mode="append")
    return DeltaTable(path)


@pytest.mark.parametrize(
    ("plates", "are_new"),
    [((40,), True), ((4, 7), True), ((2, 15, 35), True), ((9,), False), ((4, 25), False)],
)
def test_rows_are_new_if_no_file_has_one_of_their_keys(
    plates: tuple[int, ...], are_new: bool, table: DeltaTable
) -> None:
    assert KeyIndex(KEY).are_new(make_rows(*plates), table) is are_new


def test_the_index_is_correct_while_the_table_grows(table: DeltaTable) -> None:
    index = KeyIndex(KEY)
    for plate in (7, 2, 8, 4, 3):
        assert index.are_new(make_rows(plate), table)
        write_deltalake(table, make_rows(plate), mode="append")
        table.update_incremental()
        assert not index.are_new(make_rows(plate), table)
    assert not index.are_new(make_rows(1), table)


def test_files_that_cannot_have_a_key_are_not_read(table: DeltaTable) -> None:
    index = KeyIndex(KEY)
    assert index.are_new(make_rows(50, 60), table)
    assert not index._files
    assert index.are_new(make_rows(7), table)
    assert len(index._files) == 1


def test_no_row_is_new_if_the_index_is_full(
    table: DeltaTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_index, "MAX_KEYS", 5)
    index = KeyIndex(KEY)
    assert index.are_new(make_rows(2), table)
    assert not index.are_new(make_rows(2, 35), table)


def test_every_row_is_new_to_an_empty_table(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("empty"))
    empty = DeltaTable.create(path, make_rows(1).schema)
    assert KeyIndex(KEY).are_new(make_rows(1), empty)


def test_a_file_whose_keys_were_added_is_not_read(table: DeltaTable) -> None:
    index, before = KeyIndex(KEY), set(table.file_uris())
    assert index.are_new(make_rows(7), table)
    write_deltalake(table, make_rows(7), mode="append")
    table.update_incremental()
    (written,) = set(table.file_uris()) - before
    index.add(make_rows(7), {Path(written).name})
    Path(written).unlink()
    assert not index.are_new(make_rows(7), table)
    assert index.are_new(make_rows(8), table)
