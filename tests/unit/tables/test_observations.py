"""The observations table remembers every version of itself."""

import pytest
from deltalake import DeltaTable

from skyclass.errors import StoreError
from skyclass.ingest.job import ingest
from skyclass.settings import Settings
from skyclass.sources import SimulatedSource
from skyclass.storage.delta_options import make_storage_options
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.observations import ObservationsTable


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
