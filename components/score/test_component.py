"""The components `plan` and `score`, called as KFP's executor calls them."""

from pathlib import Path

import pytest
from kfp import dsl

from components.plan.component import plan
from components.score.component import score
from skyclass.errors import CatalogError, ReleaseError, TrainingError
from skyclass.ingest.job import ingest
from skyclass.promotion.champions import open_champion_store
from skyclass.registry.releases import Release
from skyclass.sources import open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.observations import ObservationsTable
from tests.support.scoring import publish_tree


@pytest.fixture
def release(store: ObjectStore, table: ObservationsTable, tmp_path: Path) -> Release:
    """A champion, and a table of 300 rows in three files to score."""
    ingest(open_source("simulated:?rows=300", store), table, store)
    found = publish_tree(store, tmp_path / "release", Mode.PHOTOMETRIC)
    open_champion_store(store.settings).promote(found, "a test", "test")
    return found


def test_planned_partitions_are_scored_and_counted(release: Release, tmp_path: Path) -> None:
    parts = plan.python_func("table:", "photometric", "champion", 2)
    assert [part["shard"] for part in parts] == ["0/2", "1/2"]
    assert {part["release"] for part in parts} == {release.id}
    accounting = dsl.Metrics(uri=str(tmp_path / "accounting"))
    scored = [score.python_func(part, "photometric", accounting)[0] for part in parts]
    assert sum(scored) == 300
    assert accounting.metadata["inserted"] == scored[-1]


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"mode": "both"}, TrainingError, "unknown mode 'both'"),
        ({"mode": "spectroscopic"}, ReleaseError, "there is no spectroscopic champion yet"),
        ({"shards": 0}, CatalogError, "choose 1 to 64"),
        ({"source_uri": "nowhere"}, CatalogError, "no such file"),
    ],
    ids=str,
)
def test_wrong_parameters_fail_the_step(
    wrong: dict[str, object], error: type[Exception], message: str, release: Release
) -> None:
    right = {"source_uri": "table:", "mode": "photometric", "release": "champion", "shards": 1}
    with pytest.raises(error, match=message):
        plan.python_func(**{**right, **wrong})
