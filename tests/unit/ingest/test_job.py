"""What an ingest does to the table, and how it accounts for every row."""

import io
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from skyclass.errors import CatalogError, StoreError
from skyclass.ingest.job import REJECTED_PREFIX, Accounting, ingest
from skyclass.sources import files, open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.survey import dialects
from skyclass.survey.dialects import Dialect
from skyclass.survey.observation import OBSERVATION_COLUMNS
from skyclass.tables.observations import ObservationsTable
from tests.support.rows import frame
from tests.support.web import Response, Web


class Observatory:
    """Takes hand-made rows into a table of the test's own."""

    def __init__(self, folder: Path, table: ObservationsTable, store: ObjectStore) -> None:
        self.folder, self.table, self.store = folder, table, store

    def take(self, *changes: dict[str, Any], file: str = "a.csv") -> Accounting:
        """Write the rows into a file and ingest it."""
        frame(*changes).to_csv(self.folder / file, index=False)
        return self.take_from(str(self.folder / file))

    def take_from(self, uri: str) -> Accounting:
        source = open_source(uri, self.store)
        accounting = ingest(source, self.table, self.store)
        assert accounting.is_balanced
        return accounting

    def column(self, name: str) -> list[Any]:
        rows = self.table.read(self.table.version(), [name])
        return rows[name].astype(object).where(rows[name].notna(), None).tolist()

    def rejected(self) -> list[dict[Any, Any]]:
        data_bucket = self.store.settings.data_bucket
        keys = self.store.list_keys(data_bucket, f"{REJECTED_PREFIX}/")
        parts = [pd.read_parquet(io.BytesIO(self.store.get(data_bucket, key))) for key in keys]
        return [row for part in parts for row in part.to_dict("records")]


@pytest.fixture
def observatory(tmp_path: Path, table: ObservationsTable, store: ObjectStore) -> Observatory:
    return Observatory(tmp_path, table, store)


def counts(accounting: Accounting) -> dict[str, int]:
    """The counts that are not zero."""
    names = ("rows_in", "inserted", "updated", "duplicates", "rejected", "not_measured")
    return {name: getattr(accounting, name) for name in names if getattr(accounting, name)}


def test_new_rows_are_inserted_with_their_origin(observatory: Observatory) -> None:
    accounting = observatory.take({}, {"mjd": 55_500}, {"mjd": 57_000})
    assert counts(accounting) == {"rows_in": 3, "inserted": 3}
    assert observatory.column("era") == ["legacy", "boss", "eboss"]
    assert set(observatory.column("source")) == {str(observatory.folder / "a.csv")}
    assert set(observatory.column("release")) == {"DR17"}


def test_the_same_file_again_changes_neither_rows_nor_version(observatory: Observatory) -> None:
    first = observatory.take({}, {"u": "bright"}, {})
    again = observatory.take_from(first.source)
    assert counts(again) == {}
    assert (again.version, again.resumed_after) == (first.version, 3)


def test_a_file_that_was_touched_is_not_read_again(observatory: Observatory) -> None:
    first = observatory.take({}, {}, {})
    os.utime(first.source, (0, 0))
    assert counts(observatory.take_from(first.source)) == {}


def test_a_copy_of_the_file_is_all_duplicates(observatory: Observatory) -> None:
    first = observatory.take({}, {}, {})
    again = observatory.take({}, {}, {}, file="b.csv")
    assert counts(again) == {"rows_in": 3, "duplicates": 3}
    assert again.version == first.version


@pytest.mark.parametrize(
    ("before", "after", "column", "value"),
    [
        pytest.param({}, {"u": 22.5}, "u", 22.5, id="corrected magnitude"),
        pytest.param({}, {"class": "QSO"}, "class", "QSO", id="corrected label"),
        pytest.param({"class": None}, {}, "class", "GALAXY", id="label that comes late"),
        pytest.param({"z": -9999}, {"z": 16.5}, "z", 16.5, id="magnitude that comes late"),
    ],
)
def test_new_values_of_a_known_key_are_updates(
    before: dict[str, Any],
    after: dict[str, Any],
    column: str,
    value: object,
    observatory: Observatory,
) -> None:
    first = observatory.take(before, {})
    second = observatory.take(after, {}, file="b.csv")
    assert (second.inserted, second.updated, second.duplicates) == (0, 1, 1)
    assert second.version == first.version + 1
    assert observatory.column(column)[0] == value


@pytest.mark.parametrize("missing", [{"class": None}, {"u": -9999}, {"u": None, "class": None}])
def test_a_null_never_overwrites_a_value(missing: dict[str, Any], observatory: Observatory) -> None:
    observatory.take({})
    assert observatory.take(missing, file="b.csv").duplicates == 1
    assert (observatory.column("u"), observatory.column("class")) == ([21.21101], ["GALAXY"])


def test_a_row_may_correct_one_value_and_lack_another(observatory: Observatory) -> None:
    observatory.take({})
    assert observatory.take({"u": 22.5, "class": None}, file="b.csv").updated == 1
    assert (observatory.column("u"), observatory.column("class")) == ([22.5], ["GALAXY"])


def test_a_key_twice_in_a_batch_is_merged_as_if_it_came_in_two(observatory: Observatory) -> None:
    twice = [{"fiber_id": 1}, {"fiber_id": 1, "u": 22.5, "class": None}, {"fiber_id": 2}]
    assert counts(observatory.take(*twice)) == {"rows_in": 3, "inserted": 2, "duplicates": 1}
    assert observatory.column("u") == [22.5, 21.21101]
    assert observatory.column("class") == ["GALAXY", "GALAXY"]


def test_rejected_rows_are_kept_beside_the_table_with_their_reasons(
    observatory: Observatory,
) -> None:
    accounting = observatory.take({}, {"u": "bright"}, {"u": "bright"}, {"class": "PLANET"})
    assert counts(accounting) == {"rows_in": 4, "inserted": 1, "rejected": 3}
    assert accounting.reasons == {
        "u: not a number": 2,
        "class: not one of GALAXY, QSO, STAR": 1,
    }
    kept = observatory.rejected()
    assert [(row["fiber_id"], row["u"], row["class"]) for row in kept] == [
        ("2", "bright", "GALAXY"),
        ("3", "bright", "GALAXY"),
        ("4", "21.21101", "PLANET"),
    ]
    assert {row["reason"] for row in kept} == set(accounting.reasons)


def test_rejected_rows_of_a_replay_are_kept_once(observatory: Observatory) -> None:
    first = observatory.take({}, {"class": "PLANET"})
    assert counts(observatory.take_from(first.source)) == {}
    assert len(observatory.rejected()) == 1


def test_every_row_is_accounted_for(observatory: Observatory) -> None:
    observatory.take({}, {"class": None})
    changes = [{}, {}, {}, {"fiber_id": 3}, {"u": "bright"}, {"z": -9999}]
    frame(*changes).to_csv(observatory.folder / "b.csv", index=False)
    with (observatory.folder / "b.csv").open("a") as file:
        file.write("torn,line\n")
    accounting = observatory.take_from(str(observatory.folder / "b.csv"))
    assert counts(accounting) == {
        **{"rows_in": 7, "inserted": 2, "updated": 1, "duplicates": 2, "rejected": 2},
        "not_measured": 1,
    }
    assert accounting.reasons["2 fields, expected 13"] == 1


@pytest.mark.parametrize(
    "line", ["267,51608,,147,-0.8,21,19,18,17,17,0.1,STAR", "torn,line"], ids=["unfit", "torn"]
)
def test_a_file_of_rejected_rows_alone_is_rejected(line: str, observatory: Observatory) -> None:
    (observatory.folder / "a.csv").write_text(f"{','.join(OBSERVATION_COLUMNS)}\n{line}\n{line}\n")
    with pytest.raises(CatalogError, match="all 2 rows were rejected") as error:
        observatory.take_from(str(observatory.folder / "a.csv"))
    assert "\n" not in str(error.value)
    assert len(observatory.rejected()) == 2


def test_a_source_whose_last_batch_was_rejected_may_come_again(
    observatory: Observatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH_ROWS", 2)
    file = observatory.folder / "a.parquet"
    frame({}, {}, {"u": "7"}, {"u": "99"}).astype(str).to_parquet(file)
    frame({}, {}, {"u": "3"}, {"u": "99"}).astype(str).to_parquet(file)
    first = observatory.take_from(str(file))
    assert counts(first) == {"rows_in": 4, "inserted": 2, "rejected": 2}
    again = observatory.take_from(str(file))
    assert counts(again) == {"rows_in": 2, "rejected": 2}
    assert again.version == first.version


def test_an_ingest_resumes_after_the_last_batch_that_was_taken(
    observatory: Observatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH_ROWS", 2)
    file = observatory.folder / "a.parquet"
    frame(*[{}] * 5).astype(str).to_parquet(file)
    source = open_source(str(file), observatory.store)

    def interrupt(rows: int) -> None:
        if rows == 4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        ingest(source, observatory.table, observatory.store, interrupt)
    resumed = observatory.take_from(str(file))
    assert (resumed.resumed_after, resumed.inserted) == (4, 1)
    assert observatory.column("fiber_id") == [1, 2, 3, 4, 5]


def test_an_ingest_that_was_overtaken_does_not_undo_corrections(
    observatory: Observatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH_ROWS", 1)
    file = observatory.folder / "a.parquet"
    changes = [{"fiber_id": 9}, {"fiber_id": 1}, {"fiber_id": 1, "u": 22.5}]
    frame(*changes).astype(str).to_parquet(file)

    def overtake(rows: int) -> None:
        if rows == 1:
            observatory.take_from(str(file))

    with pytest.raises(StoreError, match="another run has overtaken this one of") as error:
        ingest(
            open_source(str(file), observatory.store),
            observatory.table,
            observatory.store,
            overtake,
        )
    assert "\n" not in str(error.value)
    assert observatory.column("u") == [22.5, 21.21101]


def test_progress_counts_the_rows_read(observatory: Observatory) -> None:
    told: list[int] = []
    source = open_source("simulated:?rows=31", observatory.store)
    ingest(source, observatory.table, observatory.store, told.append)
    assert told == [11, 21, 31]


def test_a_file_of_the_web_is_taken_under_its_address(web: Web, observatory: Observatory) -> None:
    web.responses = [Response(frame({}, {}).to_csv(index=False).encode())]
    uri = f"{web.url}/a.csv"
    assert counts(observatory.take_from(uri)) == {"rows_in": 2, "inserted": 2}
    assert counts(observatory.take_from(uri)) == {}
    assert set(observatory.column("source")) == {uri}


def test_a_dead_link_is_one_error(web: Web, observatory: Observatory) -> None:
    with pytest.raises(CatalogError, match=rf"^{web.url}/a\.csv: HTTP status 404"):
        observatory.take_from(f"{web.url}/a.csv")


def test_an_object_is_taken_under_its_address(observatory: Observatory) -> None:
    store = observatory.store
    data = frame({}, {}).to_csv(index=False).encode()
    store.put(store.settings.data_bucket, "in/a.csv", data, "text/csv")
    uri = f"s3://{store.settings.data_bucket}/in/a.csv"
    assert counts(observatory.take_from(uri)) == {"rows_in": 2, "inserted": 2}
    with pytest.raises(StoreError, match="no such object"):
        observatory.take_from(uri.replace("a.csv", "b.csv"))


def test_the_real_sample_is_taken_whole(real_rows: Path, observatory: Observatory) -> None:
    accounting = observatory.take_from(str(real_rows))
    assert counts(accounting) == {"rows_in": 20_000, "inserted": 20_000}
    stored = observatory.table.read(accounting.version, list(OBSERVATION_COLUMNS))
    given = pd.read_csv(real_rows).rename(columns={"MJD": "mjd", "fiber_ID": "fiber_id"})
    given = given[list(OBSERVATION_COLUMNS)].sort_values(
        ["mjd", "plate", "fiber_id"], ignore_index=True
    )
    pd.testing.assert_frame_equal(stored, given, check_dtype=False)


def test_new_dialect_is_one_entry(
    observatory: Observatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = Dialect(
        "toy",
        data_release="TOY",
        aliases={"plate": "Platte", "u": "mag_u", "class": "kind"},
        class_codes={"G": "GALAXY", "Q": "QSO", "S": "STAR"},
    )
    monkeypatch.setattr(dialects, "DIALECTS", (*dialects.DIALECTS, toy))
    rows = frame({"class": "G"}, {"class": "S"}).drop(columns="release")
    rows.rename(columns=dict(toy.aliases)).to_csv(observatory.folder / "toy.csv", index=False)
    accounting = observatory.take_from(str(observatory.folder / "toy.csv"))
    assert counts(accounting) == {"rows_in": 2, "inserted": 2}
    assert observatory.column("class") == ["GALAXY", "STAR"]
    assert observatory.column("u") == [21.21101, 21.21101]
    assert set(observatory.column("release")) == {"TOY"}
