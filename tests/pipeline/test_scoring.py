"""The scoring pipeline in KFP's local runner."""

from pathlib import Path

from skyclass.ingest.job import ingest
from skyclass.orchestration.local_runner import run_package
from skyclass.orchestration.package import SCORING, load_package
from skyclass.promotion.champions import open_champion_store
from skyclass.sources import open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.observations import ObservationsTable
from tests.support.scoring import publish_tree, read_predictions


def test_a_run_scores_all_parts_and_a_second_run_only_new_rows(
    store: ObjectStore, table: ObservationsTable, tmp_path: Path
) -> None:
    ingest(open_source("simulated:?rows=300", store), table, store)
    release = publish_tree(store, tmp_path / "release", Mode.SPECTROSCOPIC)
    open_champion_store(store.settings).promote(release, "a test", "test")
    for rows in (300, 340):
        run_package(load_package(SCORING), {"shards": 2}, tmp_path / f"run-{rows}")
        found = read_predictions(store.settings, release)
        assert len(found) == rows
        ingest(open_source("simulated:?rows=40&seed=1", store), table, store)
