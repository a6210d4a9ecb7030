"""Killed and concurrent scoring runs score each object exactly once."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

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
from skyclass.storage import data_files, parts
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from skyclass.tables.observations import ObservationsTable
from skyclass.tables.predictions import SPEC
from tests.support.faults.history import History
from tests.support.processes import (
    SIGKILL_EXIT_CODE,
    KillSwitch,
    run_concurrently,
    run_in_child,
)
from tests.support.rows import name_rows
from tests.support.scoring import publish_tree, read_predictions

ROWS, PIECE_ROWS, PART_ROWS, CHUNK_ROWS = 400, 200, 50, 25
DUPLICATES = 10
KILL_POINTS_PER_PART = 4
"""Before and after the data file is written, and before and after the commit."""


def score_folder(
    folder: Path, settings: Settings, release: str, shard: str = "0/1"
) -> ScoringResult:
    """Score a folder in small chunks."""
    chunks.CHUNK_ROWS, inputs.PIECE_ROWS = CHUNK_ROWS, PIECE_ROWS
    parts.PART_ROWS = PART_ROWS
    found = find_release(settings, Mode.PHOTOMETRIC, release)
    return score(settings, open_input(settings, str(folder)), found, Shard.parse(shard))


def score_until_killed(kill_point: int, folder: Path, settings: Settings, release: str) -> None:
    """Score a folder in a child process that is killed at a kill point."""
    switch = KillSwitch(kill_point)
    data_files._write = switch.wrap(data_files._write)
    DeltaTable.create_write_transaction = switch.wrap(DeltaTable.create_write_transaction)
    score_folder(folder, settings, release)


def score_concurrently(
    folder: Path, settings: Settings, release: str, shard: str, start: Any, results: Any
) -> None:
    """Score a folder in a child process at the same time as the others."""
    start.wait()
    try:
        results.put(score_folder(folder, settings, release, shard))
    except StoreError as error:
        results.put(str(error))


@pytest.fixture(autouse=True)
def restored_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the sizes of chunks and pieces after each test."""
    monkeypatch.setattr(chunks, "CHUNK_ROWS", CHUNK_ROWS)
    monkeypatch.setattr(inputs, "PIECE_ROWS", PIECE_ROWS)
    monkeypatch.setattr(parts, "PART_ROWS", PART_ROWS)


@pytest.fixture
def release(store: ObjectStore, tmp_path: Path) -> Release:
    return publish_tree(store, tmp_path / "release", Mode.PHOTOMETRIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two files; the second repeats the last objects of the first."""
    folder = tmp_path / "observations"
    folder.mkdir()
    rows = draw(Era.BOSS, 0, ROWS, 0).to_pandas()
    halves = rows[: ROWS // 2], rows[ROWS // 2 - DUPLICATES :]
    for number, part in enumerate(halves):
        table = pa.Table.from_pandas(part, preserve_index=False)
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=40)
    return folder


@pytest.fixture
def objects() -> list[str]:
    """The objects of the folder."""
    return name_rows(draw(Era.BOSS, 0, ROWS, 0).to_pandas())


def list_data_files(settings: Settings) -> list[str]:
    names = ObjectStore(settings).list_keys(settings.data_bucket, f"{SPEC.prefix}/model_version=")
    return [name for name in names if name.endswith(".parquet")]


@pytest.mark.fault("score-killed")
@pytest.mark.parametrize("part", [0, 3])
@pytest.mark.parametrize(
    ("kill_point", "committed_parts", "orphans"),
    [
        pytest.param(0, 0, 0, id="before the data file"),
        pytest.param(1, 0, 0, id="before the end of the upload"),
        pytest.param(2, 0, 1, id="between the upload and the commit"),
        pytest.param(3, 1, 0, id="after the commit, before the acknowledgement"),
    ],
)
def test_next_run_completes_a_killed_one(
    part: int,
    kill_point: int,
    committed_parts: int,
    orphans: int,
    folder: Path,
    objects: list[str],
    store: ObjectStore,
    release: Release,
    history: History,
) -> None:
    settings = store.settings
    history.attempt(*objects)
    kill_point += part * KILL_POINTS_PER_PART
    exit_code = run_in_child(score_until_killed, kill_point, folder, settings, release.id)
    assert exit_code == SIGKILL_EXIT_CODE
    history.fire("the scoring job ended with SIGKILL")
    committed_parts += part
    assert len(list_data_files(settings)) == committed_parts + orphans
    seen = name_rows(read_predictions(settings, release))
    assert len(seen) == committed_parts * PART_ROWS
    history.acknowledge(*seen)
    with history.recovery():
        resumed = score_folder(folder, settings, release.id)
    assert resumed.is_balanced
    assert resumed.rows_in == ROWS + DUPLICATES - committed_parts * PART_ROWS
    assert resumed.inserted == ROWS - committed_parts * PART_ROWS
    history.acknowledge(*objects)
    history.find(name_rows(read_predictions(settings, release)))
    assert score_folder(folder, settings, release.id).rows_in == 0


@pytest.mark.fault("two-runs-of-a-job")
@pytest.mark.parametrize(
    "shards", [("0/2", "1/2"), ("0/1", "0/1")], ids=["two shards", "the same shard twice"]
)
def test_concurrent_runs_score_each_object_once(
    shards: tuple[str, str],
    folder: Path,
    objects: list[str],
    store: ObjectStore,
    release: Release,
    history: History,
) -> None:
    history.attempt(*objects)
    calls = ((folder, store.settings, release.id, shard) for shard in shards)
    results = run_concurrently(score_concurrently, *calls)
    assert any(isinstance(result, ScoringResult) for result in results), results
    assert all("has overtaken" in result for result in results if isinstance(result, str)), results
    history.fire("two scoring jobs ran at once")
    with history.recovery():
        score_folder(folder, store.settings, release.id)  # the retry
    history.acknowledge(*objects)
    history.find(name_rows(read_predictions(store.settings, release)))


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
