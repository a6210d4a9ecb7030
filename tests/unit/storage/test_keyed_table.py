"""A table holds each key once, whoever else writes, and whatever response is lost."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from skyclass.errors import StoreError
from skyclass.settings import Settings
from skyclass.storage import delta, keys
from skyclass.storage.delta_options import make_storage_options
from skyclass.storage.s3 import ObjectStore
from skyclass.storage.table_spec import Watermark, join_watermarks
from skyclass.storage.upsert import upsert
from skyclass.tables.observations import SCHEMA, ObservationsTable


def make_rows(*fibres: int, **changes: object) -> pa.Table:
    row = {"plate": 267, "mjd": 51_608, "u": 21.0, "class": "STAR", "era": "legacy", **changes}
    return pa.Table.from_pylist([{**row, "fiber_id": fibre} for fibre in fibres], schema=SCHEMA)


def read(table: ObservationsTable) -> dict[int, float]:
    """Return u by fibre; a fibre that is there twice is an error."""
    rows = table.read(table.version(), ["fiber_id", "u"])
    assert rows["fiber_id"].is_unique
    return dict(zip(rows["fiber_id"], rows["u"], strict=True))


@pytest.fixture
def other(settings: Settings, table: ObservationsTable) -> ObservationsTable:
    """The table of another writer, with fibres 1 and 2."""
    other = ObservationsTable(settings)
    other.merge(make_rows(1, 2), Watermark("other", 0, 2))
    return other


def before_first_commit(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> list[int]:
    """Act before the next commit of data files; return a list that counts the commits."""
    commit, commits = DeltaTable.create_write_transaction, [0]

    def commit_late(*arguments: Any, **named: Any) -> None:
        commits[0] += 1
        if commits[0] == 1:
            act()
        commit(*arguments, **named)

    monkeypatch.setattr(DeltaTable, "create_write_transaction", commit_late)
    return commits


def test_known_rows_are_merged_and_new_rows_appended(
    table: ObservationsTable, other: ObservationsTable
) -> None:
    rows = pa.concat_tables([make_rows(1, 2, 3), make_rows(2, u=22.0), make_rows(4, 4)])
    merged = table.merge(rows, Watermark("part", 0, 6))
    assert (merged.inserted, merged.updated) == (2, 1)
    assert read(table) == {1: 21, 2: 22, 3: 21, 4: 21}
    assert table.watermark("part") == 6


def test_last_value_of_a_repeated_key_counts_unless_it_is_null(table: ObservationsTable) -> None:
    rows = [make_rows(1), make_rows(1, u=22.0), make_rows(1, u=None), make_rows(2)]
    assert table.merge(pa.concat_tables(rows), Watermark("part", 0, 4)).inserted == 2
    assert read(table) == {1: 22, 2: 21}


def test_keys_that_another_writer_commits_first_are_not_appended(
    table: ObservationsTable, other: ObservationsTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    overtake = lambda: other.merge(make_rows(3, 4, u=20.0), Watermark("other", 2, 4))  # noqa: E731
    commits = before_first_commit(monkeypatch, overtake)
    merged = table.merge(make_rows(4, 5), Watermark("part", 0, 2))
    assert commits[0] == 3
    assert (merged.inserted, merged.updated) == (1, 1)
    assert read(table) == {1: 21, 2: 21, 3: 20, 4: 21, 5: 21}


def test_data_files_are_written_once_if_another_writer_adds_other_keys(
    table: ObservationsTable,
    other: ObservationsTable,
    settings: Settings,
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before_first_commit(monkeypatch, lambda: other.merge(make_rows(9), Watermark("other", 2, 3)))
    table.merge(make_rows(4, 5), Watermark("part", 0, 2))
    names = store.list_keys(settings.data_bucket, "observations/era=")
    assert sum(name.endswith(".parquet") for name in names) == 3


@pytest.mark.parametrize("is_compacted", [False, True])
@pytest.mark.parametrize(
    ("fibre", "inserted"), [pytest.param(3, 1, id="new"), pytest.param(2, 0, id="unchanged")]
)
def test_commit_whose_response_was_lost_is_not_repeated(
    fibre: int,
    inserted: int,
    is_compacted: bool,
    table: ObservationsTable,
    other: ObservationsTable,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit, commits = DeltaTable.create_write_transaction, []

    def lose_response(*arguments: Any, **named: Any) -> None:
        commits.append(commit(*arguments, **named))
        if is_compacted:
            options = make_storage_options(settings)
            DeltaTable(table.uri, storage_options=options).optimize.compact()
        raise CommitFailedError("the version exists")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", lose_response)
    merged = table.merge(make_rows(fibre), Watermark("part", 0, 1), always_commit=True)
    assert (len(commits), merged.inserted) == (1, inserted)
    assert read(table) == {1: 21, 2: 21, fibre: 21}
    assert table.watermark("part") == 1


@pytest.mark.parametrize("fibres", [(2,), (2, 3)], ids=["known rows", "known and new rows"])
def test_merge_whose_response_was_lost_is_not_repeated(
    fibres: tuple[int, ...],
    table: ObservationsTable,
    other: ObservationsTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losses: list[tuple[int, int]] = []

    def lose_response(stale: DeltaTable, *arguments: Any) -> tuple[int, int]:
        if losses:
            return upsert(stale, *arguments)
        losses.append(upsert(table._open(None), *arguments))
        raise CommitFailedError("the version exists")

    monkeypatch.setattr(delta, "upsert", lose_response)
    merged = table.merge(make_rows(*fibres, u=22.0), Watermark("part", 0, 2))
    assert (losses, merged.inserted) == ([(0, 1)], len(fibres) - 1)
    assert read(table) == {1: 21, **dict.fromkeys(fibres, 22)}
    assert table.watermark("part") == 2


def test_watermark_is_committed_if_another_writer_commits_during_a_merge_without_a_change(
    table: ObservationsTable, other: ObservationsTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtake(*arguments: Any) -> tuple[int, int]:
        other.merge(make_rows(9), Watermark("other", 2, 3))
        return upsert(*arguments)

    monkeypatch.setattr(delta, "upsert", overtake)
    table.merge(make_rows(1), Watermark("part", 0, 1), always_commit=True)
    assert table.watermark("part") == 1


def test_part_of_a_run_that_was_overtaken_is_rejected(
    table: ObservationsTable, other: ObservationsTable
) -> None:
    with pytest.raises(StoreError, match="another run has overtaken this one of other") as error:
        table.merge(make_rows(7), Watermark("other", 1, 3))
    assert "\n" not in str(error.value)
    assert 7 not in read(table)


def test_keys_with_the_same_hash_are_told_apart(
    table: ObservationsTable, other: ObservationsTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_hash", lambda rows: np.ones(rows.num_rows, np.uint64))
    merged = table.merge(make_rows(2, 3, u=22.0), Watermark("part", 0, 2))
    assert (merged.inserted, merged.updated) == (1, 1)
    assert read(table) == {1: 21, 2: 22, 3: 22}


def test_writer_that_never_wins_reports_it(
    table: ObservationsTable, other: ObservationsTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta, "MAX_ATTEMPTS", 3)
    monkeypatch.setattr(delta, "_FIRST_BACKOFF_SECONDS", 0)
    commit, position = DeltaTable.create_write_transaction, [2]

    def overtake(*arguments: Any, **named: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(DeltaTable, "create_write_transaction", commit)
            step = Watermark("other", position[0], position[0] + 1)
            other.merge(make_rows(50 + position[0]), step)
        position[0] += 1
        commit(*arguments, **named)

    monkeypatch.setattr(DeltaTable, "create_write_transaction", overtake)
    with pytest.raises(StoreError, match="3 commits conflicted with other writers"):
        table.merge(make_rows(3), Watermark("part", 0, 1))
    assert 3 not in read(table)


def test_steps_of_a_source_are_joined() -> None:
    steps = [Watermark("a", 0, 5), Watermark("a", 5, 9), Watermark("b", 3, 4)]
    assert join_watermarks(steps) == [Watermark("a", 0, 9), Watermark("b", 3, 4)]


def test_damaged_data_file_is_one_error(
    table: ObservationsTable, other: ObservationsTable, settings: Settings, store: ObjectStore
) -> None:
    (name,) = store.list_keys(settings.data_bucket, "observations/era=")
    store.put(settings.data_bucket, name, b"damaged", "")
    with pytest.raises(StoreError, match="observations failed") as merging:
        table.merge(make_rows(1), Watermark("part", 0, 1))
    with pytest.raises(StoreError, match="observations failed") as reading:
        read(table)
    assert "\n" not in f"{merging.value}{reading.value}"
