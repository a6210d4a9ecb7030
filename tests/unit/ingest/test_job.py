"""Ingests: changes of the table, the quarantine, resumption, and the accounting of rows."""

import io
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from skyclass.errors import CatalogError, StoreError
from skyclass.ingest.accounting import Accounting
from skyclass.ingest.job import REJECTED_PREFIX, ingest
from skyclass.sources import files, open_source
from skyclass.storage import parts
from skyclass.storage.s3 import ObjectStore
from skyclass.survey import dialects
from skyclass.survey.dialects import Dialect
from skyclass.survey.observation import OBSERVATION_COLUMNS
from skyclass.tables.observations import ObservationsTable
from tests.support.rows import frame
from tests.support.web import Response, Web


class Ingester:
    """Ingests rows, and reads the table and the quarantine."""

    def __init__(self, folder: Path, table: ObservationsTable, store: ObjectStore) -> None:
        self.folder, self.table, self.store = folder, table, store

    def ingest_rows(self, *changes: dict[str, Any], file: str = "a.csv") -> Accounting:
        """Write the rows of `frame` to a file and ingest it."""
        frame(*changes).to_csv(self.folder / file, index=False)
        return self.ingest_uri(str(self.folder / file))

    def ingest_uri(self, uri: str) -> Accounting:
        source = open_source(uri, self.store)
        accounting = ingest(source, self.table, self.store)
        assert accounting.is_balanced
        return accounting

    def read_column(self, name: str) -> list[Any]:
        rows = self.table.read(self.table.version(), [name])
        return rows[name].astype(object).where(rows[name].notna(), None).tolist()

    def read_quarantine(self) -> list[dict[Any, Any]]:
        data_bucket = self.store.settings.data_bucket
        keys = self.store.list_keys(data_bucket, f"{REJECTED_PREFIX}/")
        parts = [pd.read_parquet(io.BytesIO(self.store.get(data_bucket, key))) for key in keys]
        return [row for part in parts for row in part.to_dict("records")]


@pytest.fixture
def ingester(tmp_path: Path, table: ObservationsTable, store: ObjectStore) -> Ingester:
    return Ingester(tmp_path, table, store)


def get_counts(accounting: Accounting) -> dict[str, int]:
    """Return the counts that are not zero."""
    names = ("rows_in", "inserted", "updated", "duplicates", "rejected", "not_measured")
    return {name: getattr(accounting, name) for name in names if getattr(accounting, name)}


def test_new_rows_are_inserted_with_source_release_and_era(ingester: Ingester) -> None:
    accounting = ingester.ingest_rows({}, {"mjd": 55_500}, {"mjd": 57_000})
    assert get_counts(accounting) == {"rows_in": 3, "inserted": 3}
    assert ingester.read_column("era") == ["legacy", "boss", "eboss"]
    assert set(ingester.read_column("source")) == {str(ingester.folder / "a.csv")}
    assert set(ingester.read_column("release")) == {"DR17"}


def test_ingesting_a_file_is_idempotent(ingester: Ingester) -> None:
    first = ingester.ingest_rows({}, {"u": "bright"}, {})
    again = ingester.ingest_uri(first.source)
    assert get_counts(again) == {}
    assert (again.version, again.resumed_after) == (first.version, 3)


def test_a_file_with_another_modification_time_is_not_read_again(ingester: Ingester) -> None:
    first = ingester.ingest_rows({}, {}, {})
    os.utime(first.source, (0, 0))
    assert get_counts(ingester.ingest_uri(first.source)) == {}


def test_the_rows_of_a_copied_file_are_duplicates(ingester: Ingester) -> None:
    first = ingester.ingest_rows({}, {}, {})
    again = ingester.ingest_rows({}, {}, {}, file="b.csv")
    assert get_counts(again) == {"rows_in": 3, "duplicates": 3}
    assert again.version == first.version


@pytest.mark.parametrize(
    ("before", "after", "column", "value"),
    [
        pytest.param({}, {"u": 22.5}, "u", 22.5, id="corrected magnitude"),
        pytest.param({}, {"class": "QSO"}, "class", "QSO", id="corrected label"),
        pytest.param({"class": None}, {}, "class", "GALAXY", id="late label"),
        pytest.param({"z": -9999}, {"z": 16.5}, "z", 16.5, id="late magnitude"),
    ],
)
def test_new_values_of_a_known_key_update_its_row(
    before: dict[str, Any],
    after: dict[str, Any],
    column: str,
    value: object,
    ingester: Ingester,
) -> None:
    first = ingester.ingest_rows(before, {})
    second = ingester.ingest_rows(after, {}, file="b.csv")
    assert (second.inserted, second.updated, second.duplicates) == (0, 1, 1)
    assert second.version == first.version + 1
    assert ingester.read_column(column)[0] == value


@pytest.mark.parametrize("missing", [{"class": None}, {"u": -9999}, {"u": None, "class": None}])
def test_a_null_never_overwrites_a_value(missing: dict[str, Any], ingester: Ingester) -> None:
    ingester.ingest_rows({})
    assert ingester.ingest_rows(missing, file="b.csv").duplicates == 1
    assert (ingester.read_column("u"), ingester.read_column("class")) == ([21.21101], ["GALAXY"])


def test_a_row_can_correct_one_value_and_miss_another(ingester: Ingester) -> None:
    ingester.ingest_rows({})
    assert ingester.ingest_rows({"u": 22.5, "class": None}, file="b.csv").updated == 1
    assert (ingester.read_column("u"), ingester.read_column("class")) == ([22.5], ["GALAXY"])


def test_optional_inputs_are_ingested_by_their_names_in_sdss(ingester: Ingester) -> None:
    rows = frame({}, {}).assign(psfMag_r=[17.8, -9999], type=[3, 0], w1mpro=[14.2, None])
    rows.to_csv(ingester.folder / "a.csv", index=False)
    accounting = ingester.ingest_uri(str(ingester.folder / "a.csv"))
    assert get_counts(accounting) == {"rows_in": 2, "inserted": 2, "not_measured": 2}
    assert ingester.read_column("psf_r") == [17.8, None]
    assert ingester.read_column("type") == [3, None]
    assert ingester.read_column("w1") == [14.2, None]
    assert ingester.read_column("w2") == [None, None]


def test_invalid_optional_inputs_are_counted_by_reason(ingester: Ingester) -> None:
    rows = frame({}, {}).assign(psf_r=[1780, 17.8], w1=["faint", 14])
    rows.to_csv(ingester.folder / "a.csv", index=False)
    accounting = ingester.ingest_uri(str(ingester.folder / "a.csv"))
    assert get_counts(accounting) == {"rows_in": 2, "inserted": 2}
    assert accounting.discarded == {"psf_r: outside 5 to 35": 1, "w1: not a number": 1}
    assert ingester.read_column("psf_r") == [None, 17.8]


def test_optional_inputs_that_arrive_later_fill_known_rows(ingester: Ingester) -> None:
    ingester.ingest_rows({}, {})
    rows = frame({}, {}).assign(psf_r=[17.8, None], extinction_r=[0.1, 0.2])
    rows.to_csv(ingester.folder / "b.csv", index=False)
    assert ingester.ingest_uri(str(ingester.folder / "b.csv")).updated == 2
    assert ingester.read_column("psf_r") == [17.8, None]
    assert ingester.read_column("extinction_r") == [0.1, 0.2]


def test_file_without_optional_inputs_erases_none(ingester: Ingester) -> None:
    frame({}).assign(psf_r=[17.8]).to_csv(ingester.folder / "a.csv", index=False)
    ingester.ingest_uri(str(ingester.folder / "a.csv"))
    assert ingester.ingest_rows({"u": 22.5}, file="b.csv").updated == 1
    assert (ingester.read_column("psf_r"), ingester.read_column("u")) == ([17.8], [22.5])


def test_duplicate_keys_in_a_batch_are_merged_in_order(ingester: Ingester) -> None:
    rows = [{"fiber_id": 1}, {"fiber_id": 1, "u": 22.5, "class": None}, {"fiber_id": 2}]
    assert get_counts(ingester.ingest_rows(*rows)) == {"rows_in": 3, "inserted": 2, "duplicates": 1}
    assert ingester.read_column("u") == [22.5, 21.21101]
    assert ingester.read_column("class") == ["GALAXY", "GALAXY"]


def test_rejected_rows_are_quarantined_with_their_reasons(
    ingester: Ingester,
) -> None:
    accounting = ingester.ingest_rows({}, {"u": "bright"}, {"u": "bright"}, {"class": "PLANET"})
    assert get_counts(accounting) == {"rows_in": 4, "inserted": 1, "rejected": 3}
    assert accounting.reasons == {
        "u: not a number": 2,
        "class: not one of GALAXY, QSO, STAR": 1,
    }
    quarantined = ingester.read_quarantine()
    assert [(row["fiber_id"], row["u"], row["class"]) for row in quarantined] == [
        ("2", "bright", "GALAXY"),
        ("3", "bright", "GALAXY"),
        ("4", "21.21101", "PLANET"),
    ]
    assert {row["reason"] for row in quarantined} == set(accounting.reasons)


def test_a_second_ingest_does_not_quarantine_rows_again(ingester: Ingester) -> None:
    first = ingester.ingest_rows({}, {"class": "PLANET"})
    assert get_counts(ingester.ingest_uri(first.source)) == {}
    assert len(ingester.read_quarantine()) == 1


def test_every_row_is_accounted_for(ingester: Ingester) -> None:
    ingester.ingest_rows({}, {"class": None})
    changes = [{}, {}, {}, {"fiber_id": 3}, {"u": "bright"}, {"z": -9999}]
    frame(*changes).to_csv(ingester.folder / "b.csv", index=False)
    with (ingester.folder / "b.csv").open("a") as file:
        file.write("malformed,line\n")
    accounting = ingester.ingest_uri(str(ingester.folder / "b.csv"))
    assert get_counts(accounting) == {
        **{"rows_in": 7, "inserted": 2, "updated": 1, "duplicates": 2, "rejected": 2},
        "not_measured": 1,
    }
    assert accounting.reasons["2 fields, expected 13"] == 1


@pytest.mark.parametrize(
    ("line", "message", "quarantined"),
    [
        ("267,51608,,147,-0.8,21,19,18,17,17,0.1,STAR", "all 2 rows were rejected", 2),
        ("malformed,line", "line 2 has 2 fields, the header 12", 0),
    ],
    ids=["invalid", "malformed"],
)
def test_a_file_without_a_valid_row_is_rejected(
    line: str, message: str, quarantined: int, ingester: Ingester
) -> None:
    (ingester.folder / "a.csv").write_text(f"{','.join(OBSERVATION_COLUMNS)}\n{line}\n{line}\n")
    with pytest.raises(CatalogError, match=message) as error:
        ingester.ingest_uri(str(ingester.folder / "a.csv"))
    assert "\n" not in str(error.value)
    assert len(ingester.read_quarantine()) == quarantined


def test_a_rejected_last_batch_is_read_again_by_the_next_ingest(
    ingester: Ingester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH_ROWS", 2)
    monkeypatch.setattr(parts, "PART_ROWS", 2)
    file = ingester.folder / "a.parquet"
    frame({}, {}, {"u": "7"}, {"u": "99"}).astype(str).to_parquet(file)
    frame({}, {}, {"u": "3"}, {"u": "99"}).astype(str).to_parquet(file)
    first = ingester.ingest_uri(str(file))
    assert get_counts(first) == {"rows_in": 4, "inserted": 2, "rejected": 2}
    again = ingester.ingest_uri(str(file))
    assert get_counts(again) == {"rows_in": 2, "rejected": 2}
    assert again.version == first.version


def test_an_ingest_resumes_after_the_last_committed_part(
    ingester: Ingester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH_ROWS", 1)
    monkeypatch.setattr(parts, "PART_ROWS", 2)
    file = ingester.folder / "a.parquet"
    frame(*[{}] * 5).astype(str).to_parquet(file)
    source = open_source(str(file), ingester.store)

    def interrupt(rows: int) -> None:
        if rows == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        ingest(source, ingester.table, ingester.store, interrupt)
    resumed = ingester.ingest_uri(str(file))
    assert (resumed.resumed_after, resumed.inserted) == (4, 1)
    assert ingester.read_column("fiber_id") == [1, 2, 3, 4, 5]


def test_an_overtaken_ingest_does_not_undo_corrections(
    ingester: Ingester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH_ROWS", 1)
    monkeypatch.setattr(parts, "PART_ROWS", 1)
    file = ingester.folder / "a.parquet"
    changes = [{"fiber_id": 9}, {"fiber_id": 1}, {"fiber_id": 1, "u": 22.5}]
    frame(*changes).astype(str).to_parquet(file)

    def overtake(rows: int) -> None:
        if rows == 2:
            ingester.ingest_uri(str(file))

    with pytest.raises(StoreError, match="another run has overtaken this one of") as error:
        ingest(
            open_source(str(file), ingester.store),
            ingester.table,
            ingester.store,
            overtake,
        )
    assert "\n" not in str(error.value)
    assert ingester.read_column("u") == [22.5, 21.21101]


def test_progress_is_the_number_of_rows_read(ingester: Ingester) -> None:
    progress: list[int] = []
    source = open_source("simulated:?rows=31", ingester.store)
    ingest(source, ingester.table, ingester.store, progress.append)
    assert progress == [11, 21, 31]


def test_the_source_of_rows_from_the_web_is_their_url(web: Web, ingester: Ingester) -> None:
    web.responses = [Response(frame({}, {}).to_csv(index=False).encode())]
    uri = f"{web.url}/a.csv"
    assert get_counts(ingester.ingest_uri(uri)) == {"rows_in": 2, "inserted": 2}
    assert get_counts(ingester.ingest_uri(uri)) == {}
    assert set(ingester.read_column("source")) == {uri}


def test_a_missing_web_file_is_an_error(web: Web, ingester: Ingester) -> None:
    with pytest.raises(CatalogError, match=rf"^{web.url}/a\.csv: HTTP status 404"):
        ingester.ingest_uri(f"{web.url}/a.csv")


def test_an_object_is_ingested_by_its_uri(ingester: Ingester) -> None:
    store = ingester.store
    data = frame({}, {}).to_csv(index=False).encode()
    store.put(store.settings.data_bucket, "in/a.csv", data, "text/csv")
    uri = f"s3://{store.settings.data_bucket}/in/a.csv"
    assert get_counts(ingester.ingest_uri(uri)) == {"rows_in": 2, "inserted": 2}
    with pytest.raises(StoreError, match="no such object"):
        ingester.ingest_uri(uri.replace("a.csv", "b.csv"))


def test_the_real_sample_is_ingested_completely(real_rows: Path, ingester: Ingester) -> None:
    accounting = ingester.ingest_uri(str(real_rows))
    assert get_counts(accounting) == {"rows_in": 20_000, "inserted": 20_000}
    stored = ingester.table.read(accounting.version, list(OBSERVATION_COLUMNS))
    expected = pd.read_csv(real_rows).rename(columns={"MJD": "mjd", "fiber_ID": "fiber_id"})
    expected = expected[list(OBSERVATION_COLUMNS)].sort_values(
        ["mjd", "plate", "fiber_id"], ignore_index=True
    )
    pd.testing.assert_frame_equal(stored, expected, check_dtype=False)


def test_a_dialect_is_added_by_one_entry(
    ingester: Ingester, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = Dialect(
        "toy",
        data_release="TOY",
        aliases={"plate": "plate_number", "u": "mag_u", "class": "kind"},
        class_codes={"G": "GALAXY", "Q": "QSO", "S": "STAR"},
    )
    monkeypatch.setattr(dialects, "DIALECTS", (*dialects.DIALECTS, toy))
    rows = frame({"class": "G"}, {"class": "S"}).drop(columns="release")
    rows.rename(columns=dict(toy.aliases)).to_csv(ingester.folder / "toy.csv", index=False)
    accounting = ingester.ingest_uri(str(ingester.folder / "toy.csv"))
    assert get_counts(accounting) == {"rows_in": 2, "inserted": 2}
    assert ingester.read_column("class") == ["GALAXY", "STAR"]
    assert ingester.read_column("u") == [21.21101, 21.21101]
    assert set(ingester.read_column("release")) == {"TOY"}
