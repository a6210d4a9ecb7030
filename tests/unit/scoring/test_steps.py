"""Planning and running scoring steps, and the daily history of their predictions."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from skyclass.errors import CatalogError
from skyclass.ingest.job import ingest
from skyclass.registry.releases import Release
from skyclass.scoring.steps import plan_step, score_step
from skyclass.sources import open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.observations import ObservationsTable
from skyclass.tables.prediction_history import read_daily_history, read_scored_inputs


@pytest.fixture
def version(table: ObservationsTable, store: ObjectStore) -> int:
    """Version of a table with three files, one per era."""
    return ingest(open_source("simulated:?rows=300", store), table, store).version


@pytest.mark.parametrize(("shards", "count"), [(1, 1), (2, 2), (8, 3)])
def test_plan_fixes_version_release_and_shards(
    shards: int, count: int, version: int, store: ObjectStore, release: Release
) -> None:
    plan = plan_step(store.settings, "table:", Mode.SPECTROSCOPIC, "champion", shards)
    assert (plan.source, plan.release) == (f"table:?version={version}", release.id)
    assert plan.shards == tuple(f"{number}/{count}" for number in range(count))


@pytest.mark.parametrize("shards", [0, 65])
def test_number_of_shards_out_of_range_is_rejected(shards: int, store: ObjectStore) -> None:
    with pytest.raises(CatalogError, match="choose 1 to 64"):
        plan_step(store.settings, "table:", Mode.SPECTROSCOPIC, "champion", shards)


def test_rows_ingested_after_the_plan_are_left_to_the_next_run(
    version: int, table: ObservationsTable, store: ObjectStore, release: Release
) -> None:
    plan = plan_step(store.settings, "table:", Mode.SPECTROSCOPIC, "champion", 2)
    ingest(open_source("simulated:?rows=40&seed=1", store), table, store)
    results = [
        score_step(store.settings, plan.source, Mode.SPECTROSCOPIC, plan.release, shard)
        for shard in plan.shards
    ]
    assert sum(result.inserted for result in results) == 300
    assert score_step(store.settings, "table:", Mode.SPECTROSCOPIC, "champion").inserted == 40


def test_daily_history_includes_late_labels(
    table: ObservationsTable, store: ObjectStore, release: Release, tmp_path: Path
) -> None:
    rows = next(open_source("simulated:?rows=60&era=boss", store).read_batches(0)).rows.to_pandas()
    rows.assign(**{"class": None}).to_parquet(tmp_path / "before.parquet")
    rows.head(20).to_parquet(tmp_path / "after.parquet")
    labelled, started = [], datetime.now(UTC).date()
    for name in ("before", "after"):
        ingest(open_source(str(tmp_path / f"{name}.parquet"), store), table, store)
        score_step(store.settings, "table:", Mode.SPECTROSCOPIC, "champion")
        (day,) = read_daily_history(store.settings, release.id)
        assert started <= day.day <= datetime.now(UTC).date()
        assert (day.rows, sum(day.predicted.values())) == (60, 60)
        labelled.append((day.labelled, day.correct > day.labelled / 2))
    assert labelled == [(0, False), (20, True)]


def test_daily_history_of_a_release_without_predictions_is_empty(
    version: int, store: ObjectStore, release: Release
) -> None:
    assert read_daily_history(store.settings, release.id) == []
    score_step(store.settings, "table:", Mode.SPECTROSCOPIC, "champion")
    assert read_daily_history(store.settings, "f" * 64) == []


def test_scored_inputs_name_the_version_that_each_object_was_read_from(
    version: int, table: ObservationsTable, store: ObjectStore, release: Release
) -> None:
    assert read_scored_inputs(store.settings, release.id) == []
    score_step(store.settings, "table:", Mode.SPECTROSCOPIC, "champion")
    newest = ingest(open_source("simulated:?rows=40&seed=1", store), table, store).version
    score_step(store.settings, "table:", Mode.SPECTROSCOPIC, "champion")
    first, second = read_scored_inputs(store.settings, release.id)
    assert (first.uri, first.rows) == (f"table:?version={version}", 300)
    assert (second.uri, second.rows) == (f"table:?version={newest}", 40)
    assert first.labelled == 300
    assert first.labelled / 2 < first.correct <= first.labelled
    assert first.first_scored <= first.last_scored < second.first_scored <= datetime.now(UTC)
    assert read_scored_inputs(store.settings, "f" * 64) == []
