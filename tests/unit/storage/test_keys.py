"""The keys of a part find repeated and known keys, and never miss a known one."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyarrow import fs

from skyclass.storage import keys
from skyclass.storage.keys import PartKeys

KEY = ("plate", "fiber_id")


def make_rows(*plates: int, era: str = "boss") -> pa.Table:
    columns = {"plate": pa.array(plates, pa.int32()), "fiber_id": [1] * len(plates)}
    return pa.table({**columns, "era": pa.array([era] * len(plates), pa.string())})


class Folder:
    """A table in a folder."""

    def __init__(self, path: str) -> None:
        self.path, self.filesystem = path, fs.SubTreeFileSystem(path, fs.LocalFileSystem())

    def append(self, *plates: int, era: str = "boss") -> None:
        rows = make_rows(*plates, era=era)
        write_deltalake(self.path, rows, mode="append", partition_by=["era"])

    def find_known(self, part: PartKeys) -> list[bool]:
        part.find_known(DeltaTable(self.path), self.filesystem)
        return part.are_known.tolist()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A table of three files, with plates 1 and 9, 5 and 6, and 20 to 29."""
    folder = Folder(str(tmp_path_factory.mktemp("table")))
    for plates in ((1, 9), (5, 6), range(20, 30)):
        folder.append(*plates)
    return folder


def make_keys(*plates: int, era: str = "boss") -> PartKeys:
    return PartKeys(make_rows(*plates, era=era), KEY, "era")


@pytest.mark.parametrize(
    ("plates", "known"),
    [((40,), []), ((4, 7), []), ((2, 15, 35), []), ((9,), [9]), ((4, 25, 5), [25, 5]), ((), [])],
)
def test_known_keys_are_found(plates: tuple[int, ...], known: list[int], folder: Folder) -> None:
    assert folder.find_known(make_keys(*plates)) == [plate in known for plate in plates]


def test_keys_in_files_that_were_added_later_are_found(folder: Folder) -> None:
    part = make_keys(7, 9, 8)
    assert folder.find_known(part) == [False, True, False]
    folder.append(8)
    assert folder.find_known(part) == [False, True, True]


def test_only_files_that_may_hold_a_key_are_read_and_only_once(folder: Folder) -> None:
    part = make_keys(50, 60)
    folder.find_known(part)
    assert not part._read_files
    part = make_keys(7)
    for _ in range(2):
        folder.find_known(part)
        assert len(part._read_files) == 1


def test_files_of_other_partitions_are_not_read(folder: Folder) -> None:
    part = make_keys(9, era="eboss")
    assert folder.find_known(part) == [False]
    assert not part._read_files


@pytest.mark.parametrize("columns", [0, 1])
def test_files_without_statistics_are_read(columns: int, tmp_path: Path) -> None:
    """Statistics may lack for all columns of some files, and for some columns of all files."""
    folder = Folder(str(tmp_path))
    columns_property = {"delta.dataSkippingNumIndexedCols": str(columns)}
    write_deltalake(folder.path, make_rows(9), partition_by=["era"], configuration=columns_property)
    assert folder.find_known(make_keys(9)) == [True]
    DeltaTable(folder.path).alter.set_table_properties({"delta.dataSkippingNumIndexedCols": "2"})
    folder.append(5)
    assert folder.find_known(make_keys(9, 5, 7)) == [True, True, False]


@pytest.mark.parametrize("plates", [(), (1, 2, 3), (3, 1, 3, 2, 1)])
def test_repeated_keys_are_found(plates: tuple[int, ...]) -> None:
    repeated = [plates.count(plate) > 1 for plate in plates]
    assert make_keys(*plates).find_repeated().tolist() == repeated


def test_keys_with_one_hash_are_all_known(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_hash", lambda rows: np.ones(rows.num_rows, np.uint64))
    assert folder.find_known(make_keys(5, 10)) == [True, True]


def test_hashes_of_a_million_keys_of_the_survey_differ() -> None:
    numbers = np.arange(1_000_000)
    rows = {"source_id": 1_237_648_720_693_755_918 + numbers, "plate": numbers // 1000}
    assert len(np.unique(keys._hash(pa.table(rows)))) == len(numbers)
