"""Killed, interrupted and concurrent ingests neither lose nor duplicate a row."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pytest
from pydantic import SecretStr

from skyclass.errors import StoreError
from skyclass.ingest.accounting import Accounting
from skyclass.ingest.job import REJECTED_PREFIX, ingest
from skyclass.local.s3_server import Access, EmbeddedS3
from skyclass.settings import Settings
from skyclass.sources import FileSource, files
from skyclass.storage import delta, parts
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.observations import SCHEMA, ObservationsTable
from tests.support.faults.history import History
from tests.support.processes import (
    SIGKILL_EXIT_CODE,
    KillSwitch,
    fork_server,
    run_concurrently,
    run_in_child,
)
from tests.support.rows import frame, name_rows

BATCHES, BATCH_ROWS = 8, 10
KILL_POINTS_PER_BATCH = 4
"""Before and after the write to the quarantine, and before and after the commit."""


def ingest_file(file: Path, settings: Settings, **hooks: Any) -> Accounting:
    """Ingest a file in small batches, each of which is a part."""
    files.BATCH_ROWS = parts.PART_ROWS = BATCH_ROWS
    source = FileSource(file, str(file))
    return ingest(source, ObservationsTable(settings), ObjectStore(settings), **hooks)


def ingest_until_killed(kill_point: int, file: Path, settings: Settings) -> None:
    """Ingest a file in a child process that is killed at a kill point."""
    switch = KillSwitch(kill_point)
    ObjectStore.put = switch.wrap(ObjectStore.put)
    ObservationsTable.merge = switch.wrap(ObservationsTable.merge)
    ingest_file(file, settings)


def ingest_until_killed_after_updates(file: Path, settings: Settings) -> None:
    """Ingest a file in a child process that is killed when known rows have been updated."""
    delta.upsert = KillSwitch(1).wrap(delta.upsert)
    ingest_file(file, settings)


def read_table(settings: Settings) -> pd.DataFrame:
    """Read all rows of the table, without the column `ingested_at`."""
    table = ObservationsTable(settings)
    columns = [name for name in SCHEMA.names if name != "ingested_at"]
    return table.read(table.version(), columns)


def read_table_if_any(settings: Settings) -> pd.DataFrame:
    """Read all rows of the table, or none if a killed ingest has not created it."""
    exists = ObservationsTable(settings).newest_version() is not None
    return read_table(settings) if exists else frame().head(0)


def list_quarantine(settings: Settings) -> list[str]:
    return list(ObjectStore(settings).list_keys(settings.data_bucket, REJECTED_PREFIX))


def make_settings(access: Access) -> Settings:
    """Return settings without retries, with a new data bucket."""
    settings = Settings(
        AWS_ENDPOINT_URL=access.endpoint_url,
        AWS_ACCESS_KEY_ID=access.access_key_id,
        AWS_SECRET_ACCESS_KEY=SecretStr(access.secret_access_key),
        data_bucket=f"t-{uuid4().hex[:12]}-data",
        s3_retries=0,
    )
    ObjectStore(settings).make_buckets()
    return settings


@pytest.fixture(scope="module", autouse=True)
def batch_rows() -> Iterator[None]:
    """Restore the batch size after the tests and the fixtures of this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BATCH_ROWS", BATCH_ROWS)
        patch.setattr(parts, "PART_ROWS", BATCH_ROWS)
        yield


@pytest.fixture(scope="module")
def observations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of several batches; each has an invalid row and corrects a row of the one before."""
    changes: list[dict[str, Any]] = []
    for batch in range(BATCHES):
        new = {"mjd": 52_000 + 500 * batch}
        correction = {"mjd": new["mjd"] - 500, "fiber_id": 10 * batch, "u": 21 + batch / 8}
        changes += [{"u": "bright"}, correction if batch else new, *[new] * (BATCH_ROWS - 2)]
    path = tmp_path_factory.mktemp("observations") / "observations.parquet"
    frame(*changes).astype(str).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def expected(observations: Path, s3: Access) -> Settings:
    """Settings of a bucket into which the file was ingested without a fault."""
    settings = make_settings(s3)
    accounting = ingest_file(observations, settings)
    assert (accounting.updated, accounting.rejected) == (BATCHES - 1, BATCHES)
    return settings


@pytest.fixture(scope="module")
def names(expected: Settings) -> list[str]:
    """The valid rows of the file."""
    return name_rows(read_table(expected))


def assert_same(settings: Settings, expected: Settings) -> None:
    """Check that two buckets have the same table and the same quarantine."""
    pd.testing.assert_frame_equal(read_table(settings), read_table(expected))
    assert list_quarantine(settings) == list_quarantine(expected)


@pytest.mark.fault("pipeline-killed")
@pytest.mark.parametrize("batch", [0, 1, BATCHES - 1])
@pytest.mark.parametrize(
    ("kill_point", "committed_batches"),
    [
        pytest.param(0, 0, id="before the write to the quarantine"),
        pytest.param(1, 0, id="after the write to the quarantine"),
        pytest.param(2, 0, id="before the commit"),
        pytest.param(3, 1, id="after the commit"),
    ],
)
def test_the_next_ingest_completes_a_killed_one(
    batch: int,
    kill_point: int,
    committed_batches: int,
    observations: Path,
    s3: Access,
    expected: Settings,
    names: list[str],
    history: History,
) -> None:
    settings = make_settings(s3)
    kill_point += batch * KILL_POINTS_PER_BATCH
    history.attempt(*names)
    exit_code = run_in_child(ingest_until_killed, kill_point, observations, settings)
    assert exit_code == SIGKILL_EXIT_CODE
    history.fire("the ingest ended with SIGKILL")
    with history.recovery():
        resumed = ingest_file(observations, settings)
    assert resumed.resumed_after == (batch + committed_batches) * BATCH_ROWS
    history.acknowledge(*names)
    history.find(name_rows(read_table(settings)))
    assert_same(settings, expected)
    assert ObservationsTable(settings).version() == ObservationsTable(expected).version()


@pytest.mark.fault("pipeline-killed")
def test_the_next_ingest_completes_one_killed_between_updates_and_insertions(
    observations: Path, s3: Access, expected: Settings, names: list[str], history: History
) -> None:
    settings = make_settings(s3)
    history.attempt(*names)
    exit_code = run_in_child(ingest_until_killed_after_updates, observations, settings)
    assert exit_code == SIGKILL_EXIT_CODE
    assert 21.125 in set(read_table(settings)["u"])  # the first correction
    history.fire("the ingest ended with SIGKILL after it had updated rows")
    with history.recovery():
        resumed = ingest_file(observations, settings)
    assert resumed.resumed_after == BATCH_ROWS
    history.acknowledge(*names)
    history.find(name_rows(read_table(settings)))
    assert_same(settings, expected)


@pytest.mark.fault("pipeline-killed")
def test_an_ingest_completes_after_repeated_random_kills(
    observations: Path, s3: Access, expected: Settings, names: list[str], history: History
) -> None:
    history.attempt(*names)
    settings, rng, kills = make_settings(s3), random.Random(1), 0  # noqa: S311 - no secret
    while True:
        child = fork_server.Process(target=ingest_file, args=(observations, settings))
        child.start()
        child.join(rng.uniform(0, 0.1 * (kills + 2)))  # longer each time, until one completes
        child.kill()
        child.join()
        assert child.exitcode in (SIGKILL_EXIT_CODE, 0)
        if child.exitcode == 0:
            break
        kills += 1
        history.fire("the ingest ended with SIGKILL")
        # What a reader has seen is acknowledged, too.
        history.acknowledge(*name_rows(read_table_if_any(settings)))
    assert kills > 3
    with history.recovery():
        assert ingest_file(observations, settings).rows_in == 0
    history.acknowledge(*names)
    history.find(name_rows(read_table(settings)))
    assert_same(settings, expected)


@pytest.mark.fault("store-down-before-commit")
def test_a_store_killed_during_an_ingest_is_one_error_and_the_next_ingest_resumes(
    observations: Path, tmp_path: Path, expected: Settings, names: list[str], history: History
) -> None:
    history.attempt(*names)
    server = EmbeddedS3(tmp_path)

    def kill_store(rows: int) -> None:
        if rows > BATCH_ROWS:  # the first batch is committed
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)

    with server as access:
        settings = make_settings(access)
        with pytest.raises(StoreError, match=f"{access.endpoint_url} is unreachable") as error:
            ingest_file(observations, settings, progress=kill_store)
    assert "\n" not in str(error.value)
    history.fire(str(error.value))

    with server as access:
        settings = settings.model_copy(update={"endpoint_url": access.endpoint_url})
        with history.recovery():
            resumed = ingest_file(observations, settings)
        history.acknowledge(*names)
        assert 0 < resumed.resumed_after < BATCHES * BATCH_ROWS
        assert_same(settings, expected)
        history.find(name_rows(read_table(settings)))


def ingest_concurrently(file: Path, settings: Settings, start: Any, results: Any) -> None:
    """Ingest a file in a child process at the same time as the others."""
    start.wait()
    try:
        results.put(ingest_file(file, settings))
    except StoreError as error:
        results.put(str(error))


@pytest.mark.fault("two-runs-of-a-job")
def test_concurrent_ingests_of_one_source_are_idempotent(
    observations: Path, s3: Access, expected: Settings, names: list[str], history: History
) -> None:
    settings = make_settings(s3)
    history.attempt(*names)
    results = run_concurrently(ingest_concurrently, *[(observations, settings)] * 2)
    assert any(isinstance(result, Accounting) for result in results)
    assert not any("\n" in result for result in results if isinstance(result, str))
    history.fire("two ingests of one source ran at once")
    with history.recovery():
        ingest_file(observations, settings)
    history.acknowledge(*names)
    history.find(name_rows(read_table(settings)))
    assert_same(settings, expected)
    assert ingest_file(observations, settings).rows_in == 0


@pytest.mark.fault("two-runs-of-a-job")
def test_concurrent_ingests_of_overlapping_files_store_each_key_once(
    s3: Access, tmp_path: Path, history: History
) -> None:
    """Each file shares half of its keys with the next file."""
    settings, writers, half = make_settings(s3), 3, 20
    paths = [tmp_path / f"{number}.parquet" for number in range(writers)]
    for number, path in enumerate(paths):
        plates = range(number * half + 1, (number + 2) * half + 1)
        rows = frame(*[{"plate": plate, "fiber_id": 1} for plate in plates])
        rows.astype(str).to_parquet(path)
        history.attempt(*name_rows(rows))
    results = run_concurrently(ingest_concurrently, *((path, settings) for path in paths))
    assert all(isinstance(result, Accounting) and result.is_balanced for result in results), results
    history.fire(f"{writers} ingests ran at once")
    history.acknowledge(*history.attempted)
    with history.recovery():
        found = read_table(settings)
    history.find(name_rows(found))
    assert list(found["plate"]) == list(range(1, (writers + 1) * half + 1))
    assert sum(result.inserted for result in results) == (writers + 1) * half
    assert sum(result.duplicates for result in results) == (writers - 1) * half
