"""Killed and concurrent scoring runs score each object exactly once."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skyclass.errors import StoreError
from skyclass.ingest.job import ingest
from skyclass.local.s3_server import EmbeddedS3
from skyclass.registry.releases import Release
from skyclass.scoring import chunks, inputs
from skyclass.scoring.inputs import open_input
from skyclass.scoring.result import ScoringResult
from skyclass.scoring.score import find_release, score
from skyclass.scoring.shards import Shard
from skyclass.settings import Settings
from skyclass.sources import open_source
from skyclass.sources.simulated import draw
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from skyclass.tables.observations import ObservationsTable
from skyclass.tables.predictions import PredictionsTable
from tests.support.processes import KILLED, Fuse, at_once, exit_code
from tests.support.scoring import predictions, publish_tree

ROWS, CHUNK, PIECE = 400, 50, 200


def run(folder: Path, settings: Settings, release: str, shard: str = "0/1") -> ScoringResult:
    """Score a folder in small chunks."""
    chunks.CHUNK_ROWS, inputs.PIECE_ROWS = CHUNK, PIECE
    found = find_release(settings, Mode.PHOTOMETRIC, release)
    return score(settings, open_input(settings, str(folder)), found, Shard.parse(shard))


def run_until(moment: int, folder: Path, settings: Settings, release: str) -> None:
    """Score a folder in a child process and exit at the given commit."""
    PredictionsTable.merge = Fuse(moment).around(PredictionsTable.merge)
    run(folder, settings, release)


def run_together(
    folder: Path, settings: Settings, release: str, shard: str, start: Any, outcomes: Any
) -> None:
    """Score a folder in a child process at the same time as the others."""
    start.wait()
    try:
        outcomes.put(run(folder, settings, release, shard))
    except StoreError as error:
        outcomes.put(str(error))


@pytest.fixture(autouse=True)
def sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the sizes after each test."""
    monkeypatch.setattr(chunks, "CHUNK_ROWS", CHUNK)
    monkeypatch.setattr(inputs, "PIECE_ROWS", PIECE)


@pytest.fixture
def release(store: ObjectStore, tmp_path: Path) -> Release:
    return publish_tree(store, tmp_path / "release", Mode.PHOTOMETRIC)


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """Two files; the second repeats the last ten objects of the first."""
    folder = tmp_path / "night"
    folder.mkdir()
    rows = draw(Era.BOSS, 0, ROWS, 0).to_pandas()
    halves = rows[: ROWS // 2], pd.concat([rows[ROWS // 2 - 10 : ROWS // 2], rows[ROWS // 2 :]])
    for number, part in enumerate(halves):
        table = pa.Table.from_pandas(part, preserve_index=False)
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=40)
    return folder


def assert_each_object_scored_once(settings: Settings, release: Release) -> None:
    found = predictions(settings, release)
    assert len(found) == ROWS
    assert not found.duplicated(["plate", "mjd", "fiber_id"]).any()


@pytest.mark.parametrize("moment", [0, 1, 8, 9])
def test_next_run_completes_a_run_killed_around_a_commit(
    moment: int, night: Path, store: ObjectStore, release: Release
) -> None:
    assert exit_code(run_until, moment, night, store.settings, release.id) == KILLED
    resumed = run(night, store.settings, release.id)
    assert resumed.is_balanced
    assert resumed.rows_in == ROWS + 10 - min((moment + 1) // 2 * CHUNK, ROWS + 10)
    assert_each_object_scored_once(store.settings, release)
    assert run(night, store.settings, release.id).rows_in == 0


@pytest.mark.parametrize(
    "shards", [("0/2", "1/2"), ("0/1", "0/1")], ids=["two shards", "the same shard twice"]
)
def test_concurrent_runs_score_each_object_once(
    shards: tuple[str, str], night: Path, store: ObjectStore, release: Release
) -> None:
    calls = ((night, store.settings, release.id, shard) for shard in shards)
    results = at_once(run_together, *calls)
    assert any(isinstance(result, ScoringResult) for result in results), results
    assert all("has overtaken" in result for result in results if isinstance(result, str)), results
    run(night, store.settings, release.id)  # the retry
    assert_each_object_scored_once(store.settings, release)


def test_unreachable_store_is_reported(tmp_path: Path) -> None:
    with EmbeddedS3(tmp_path / "s3") as access:
        settings = Settings(**access.environment(), s3_retries=0)
        store = ObjectStore(settings)
        store.make_buckets()
        ingest(open_source("simulated:?rows=300", store), ObservationsTable(settings), store)
        source = open_input(settings, "table:")
    with pytest.raises(StoreError, match="is unreachable"):
        next(chunks.read_chunks(source, source.pieces[0], Mode.PHOTOMETRIC, 0))
    for uri in ("table:", "s3://skyclass-data/x.parquet", "s3://skyclass-data/folder"):
        with pytest.raises(StoreError, match="is unreachable"):
            open_input(settings, uri)
