"""The observations table remembers every version of itself."""

from dataclasses import replace

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from skyclass.errors import StoreError
from skyclass.ingest.job import ingest
from skyclass.settings import Settings
from skyclass.sources import SimulatedSource
from skyclass.storage.delta import KeyedTable
from skyclass.storage.delta_options import make_storage_options
from skyclass.storage.s3 import ObjectStore
from skyclass.storage.table_spec import Watermark
from skyclass.survey.observation import OPTIONAL_COLUMNS
from skyclass.tables.observations import SCHEMA, SPEC, ObservationsTable


def survey(rows: int, seed: int = 0):
    return SimulatedSource.from_uri(f"simulated:?rows={rows}&era=boss&seed={seed}")


def test_version_never_changes(table: ObservationsTable, store: ObjectStore) -> None:
    version = ingest(survey(50), table, store).version
    before = table.read(version, ["fiber_id", "u", "class"])
    ingest(survey(50, seed=1), table, store)
    assert len(table.read(table.version(), ["u"])) == 100
    assert table.read(version, ["fiber_id", "u", "class"]).equals(before)


def test_versions_outlive_the_cleaning_of_the_log(
    table: ObservationsTable, store: ObjectStore, settings: Settings
) -> None:
    ingest(survey(1), table, store)
    DeltaTable(
        table.uri, storage_options=make_storage_options(settings)
    ).alter.set_table_properties(
        {"delta.logRetentionDuration": "interval 0 seconds", "delta.checkpointInterval": "2"}
    )
    for seed in range(1, 5):
        ingest(survey(1, seed), table, store)
    rows = [len(table.read(version, ["u"])) for version in range(table.version() + 1)]
    assert rows == [0, 1, 1, 2, 3, 4, 5]


def test_rows_come_in_the_order_of_nights_with_the_columns_asked_for(
    table: ObservationsTable, store: ObjectStore
) -> None:
    version = ingest(survey(3000), table, store).version
    rows = table.read(version, ["class", "mjd", "plate", "fiber_id"])
    assert list(rows.columns) == ["class", "mjd", "plate", "fiber_id"]
    assert rows.equals(rows.sort_values(["mjd", "plate", "fiber_id"], ignore_index=True))


def test_synthetic_rows_say_so(table: ObservationsTable, store: ObjectStore) -> None:
    version = ingest(survey(5), table, store).version
    assert set(table.read(version, ["release"])["release"]) == {"SIMULATED"}


def test_before_the_first_ingest_there_is_no_table(
    table: ObservationsTable, store: ObjectStore
) -> None:
    assert table.watermark("source") == 0
    for question in (table.version, lambda: table.read(0, ["u"])):
        with pytest.raises(StoreError, match=r"does not exist.*`skyclass ingest URI`"):
            question()


def test_a_version_of_the_future_is_rejected(table: ObservationsTable, store: ObjectStore) -> None:
    ingest(survey(5), table, store)
    with pytest.raises(StoreError, match="has no such version"):
        table.read(99, ["u"])


def test_nights_that_are_not_wanted_are_not_read(
    table: ObservationsTable, store: ObjectStore
) -> None:
    version = ingest(survey(2_000), table, store).version
    nights = table.read(version, ["mjd"])["mjd"]
    first, last = int(nights.quantile(0.2)), int(nights.quantile(0.8))
    read = table.read(version, ["mjd"], nights=(first, last))["mjd"]
    assert read.tolist() == [night for night in nights if first <= night <= last]
    assert 0 < len(read) < 2_000


class OldTable(KeyedTable):
    """The table as version 0.1 wrote it, without optional inputs."""

    def __init__(self, settings: Settings) -> None:
        schema = pa.schema([field for field in SCHEMA if field.name not in OPTIONAL_COLUMNS])
        values = tuple(name for name in SPEC.values if name not in OPTIONAL_COLUMNS)
        super().__init__(settings, replace(SPEC, schema=schema, values=values))


def make_rows(*fibres: int, **changes: object) -> pa.Table:
    """Return rows of the table with these fibres."""
    row = {"plate": 267, "mjd": 51_608, "u": 21.0, "class": "STAR", "era": "legacy", **changes}
    return pa.Table.from_pylist([{**row, "fiber_id": fibre} for fibre in fibres], schema=SCHEMA)


@pytest.fixture
def old_version(settings: Settings, store: ObjectStore) -> int:
    """A version of a table without optional inputs that has one row."""
    rows = make_rows(1).drop_columns(list(OPTIONAL_COLUMNS))
    return OldTable(settings).merge(rows, Watermark("old", 0, 1)).version


def test_old_table_gets_the_optional_inputs_of_a_source(
    old_version: int, table: ObservationsTable
) -> None:
    merged = table.merge(make_rows(2, psf_r=17.5), Watermark("new", 0, 1))
    assert (merged.inserted, merged.version) == (1, old_version + 2)
    rows = table.read(merged.version, ["fiber_id", "psf_r"])
    assert rows.fillna(-1).values.tolist() == [[1, -1], [2, 17.5]]


def test_optional_inputs_fill_a_row_of_an_old_table(
    old_version: int, table: ObservationsTable
) -> None:
    merged = table.merge(make_rows(1, psf_r=17.5), Watermark("new", 0, 1))
    assert (merged.inserted, merged.updated) == (0, 1)
    assert table.read(merged.version, ["u", "psf_r"]).values.tolist() == [[21, 17.5]]


def test_old_version_lacks_the_values_and_not_the_columns(
    old_version: int, table: ObservationsTable
) -> None:
    table.merge(make_rows(1, psf_r=17.5), Watermark("new", 0, 1))
    rows = table.read(old_version, ["psf_r", "u", "w1"])
    assert list(rows.columns) == ["psf_r", "u", "w1"]
    assert rows.dtypes.unique().tolist() == [float]
    assert rows["u"].tolist() == [21]
    assert rows[["psf_r", "w1"]].isna().all(axis=None)


def test_source_without_optional_inputs_leaves_an_old_table_as_it_is(
    old_version: int, table: ObservationsTable, settings: Settings
) -> None:
    assert table.merge(make_rows(1, 2), Watermark("new", 0, 1)).inserted == 1
    assert table.merge(make_rows(1, u=22.0), Watermark("new", 1, 2)).updated == 1
    rows = make_rows(3).drop_columns(list(OPTIONAL_COLUMNS))
    assert OldTable(settings).merge(rows, Watermark("old", 1, 2)).inserted == 1


def test_two_writers_can_add_the_columns(old_version: int, settings: Settings) -> None:
    first, second = ObservationsTable(settings), ObservationsTable(settings)
    for number, writer in enumerate((first, second), start=2):
        writer.merge(
            make_rows(number), Watermark(f"source {number}", 0, 1)
        )  # both have opened the table
    first.merge(make_rows(4, psf_r=17.5), Watermark("source 2", 1, 2))
    second.merge(make_rows(5, w1=14.5), Watermark("source 3", 1, 2))
    rows = first.read(first.version(), ["psf_r", "w1"])
    assert rows.notna().sum().tolist() == [1, 1]
    assert len(rows) == 5


def test_rows_without_any_value_change_nothing(old_version: int, table: ObservationsTable) -> None:
    merged = table.merge(make_rows(1, u=None, **{"class": None}), Watermark("new", 0, 1))
    assert (merged.inserted, merged.updated, merged.version) == (0, 0, old_version)
