"""What is certainly new to a table is told without a join, and never wrongly."""

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from skyclass.storage import key_index
from skyclass.storage.key_index import KeyIndex

KEY = ("plate", "fiber_id")


def rows(*plates: int) -> pa.Table:
    return pa.table({"plate": pa.array(plates, pa.int32()), "fiber_id": [1] * len(plates)})


@pytest.fixture
def table(tmp_path_factory: pytest.TempPathFactory) -> DeltaTable:
    """A table of three files: plates 1 and 9, 5 and 6, 20 to 29."""
    path = str(tmp_path_factory.mktemp("table"))
    for plates in ((1, 9), (5, 6), range(20, 30)):
        write_deltalake(path, rows(*plates), mode="append")
    return DeltaTable(path)


@pytest.mark.parametrize(
    ("plates", "new"),
    [((40,), True), ((4, 7), True), ((2, 15, 35), True), ((9,), False), ((4, 25), False)],
)
def test_a_key_is_new_when_no_file_has_it(
    plates: tuple[int, ...], new: bool, table: DeltaTable
) -> None:
    assert KeyIndex(KEY).are_new(rows(*plates), table) is new


def test_it_stays_right_as_the_table_grows(table: DeltaTable) -> None:
    known = KeyIndex(KEY)
    for plate in (7, 2, 8, 4, 3):
        assert known.are_new(rows(plate), table)
        write_deltalake(table, rows(plate), mode="append")
        table.update_incremental()
        assert not known.are_new(rows(plate), table)
    assert not known.are_new(rows(1), table)


def test_files_that_cannot_have_a_key_are_not_read(table: DeltaTable) -> None:
    known = KeyIndex(KEY)
    assert known.are_new(rows(50, 60), table)
    assert not known._files
    assert known.are_new(rows(7), table)
    assert len(known._files) == 1


def test_with_too_many_keys_nothing_is_certain(
    table: DeltaTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_index, "MAX_KEYS", 5)
    known = KeyIndex(KEY)
    assert known.are_new(rows(2), table)
    assert not known.are_new(rows(2, 35), table)


def test_an_empty_table_knows_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("empty"))
    empty = DeltaTable.create(path, rows(1).schema)
    assert KeyIndex(KEY).are_new(rows(1), empty)


def test_what_was_just_written_is_not_read_again(table: DeltaTable) -> None:
    known, before = KeyIndex(KEY), set(table.file_uris())
    assert known.are_new(rows(7), table)
    write_deltalake(table, rows(7), mode="append")
    table.update_incremental()
    (written,) = set(table.file_uris()) - before
    known.add(rows(7), {Path(written).name})
    Path(written).unlink()
    assert not known.are_new(rows(7), table)
    assert known.are_new(rows(8), table)
