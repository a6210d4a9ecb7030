"""An ingest that is killed, or loses its server, neither loses nor doubles a row."""

import os
import random
import signal
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pytest
from pydantic import SecretStr

from skyclass.errors import StoreError
from skyclass.ingest.job import REJECTED_PREFIX, Accounting, ingest
from skyclass.local.s3_server import Access, EmbeddedS3
from skyclass.settings import Settings
from skyclass.sources import FileSource, files
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.observations import SCHEMA, ObservationsTable
from tests.support.processes import KILLED, Fuse, at_once, exit_code, processes
from tests.support.rows import frame

BATCHES, BATCH_ROWS = 8, 10
MOMENTS_PER_BATCH = 4  # before and after the rejected row is kept, and the table is changed


def take(night: Path, settings: Settings, **hooks: Any) -> Accounting:
    """Ingest the file in small batches."""
    files.BATCH_ROWS = BATCH_ROWS
    source = FileSource(night, str(night))
    return ingest(source, ObservationsTable(settings), ObjectStore(settings), **hooks)


def take_until(moment: int, night: Path, settings: Settings) -> None:
    """What a child does: ingest the file and die on the way."""
    fuse = Fuse(moment)
    ObjectStore.put = fuse.around(ObjectStore.put)
    ObservationsTable.merge = fuse.around(ObservationsTable.merge)
    take(night, settings)


def contents(settings: Settings) -> pd.DataFrame:
    """Every row of the table, but for the time at which it was taken."""
    table = ObservationsTable(settings)
    columns = [name for name in SCHEMA.names if name != "ingested_at"]
    return table.read(table.version(), columns)


def rejected(settings: Settings) -> list[str]:
    return list(ObjectStore(settings).list_keys(settings.data_bucket, REJECTED_PREFIX))


def settings_for(access: Access) -> Settings:
    """Settings with buckets of their own, and no patience."""
    settings = Settings(
        AWS_ENDPOINT_URL=access.endpoint_url,
        AWS_ACCESS_KEY_ID=access.access_key_id,
        AWS_SECRET_ACCESS_KEY=SecretStr(access.secret_access_key),
        data_bucket=f"t-{uuid4().hex[:12]}-data",
        s3_retries=0,
    )
    ObjectStore(settings).make_buckets()
    return settings


@pytest.fixture(autouse=True)
def batch_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the size of a batch back after each test."""
    monkeypatch.setattr(files, "BATCH_ROWS", BATCH_ROWS)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of several batches, each with an unfit row and news about the batch before."""
    changes: list[dict[str, Any]] = []
    for batch in range(BATCHES):
        new = {"mjd": 52_000 + 500 * batch}
        news = {"mjd": new["mjd"] - 500, "fiber_id": 10 * batch, "u": 21 + batch / 8}
        changes += [{"u": "bright"}, news if batch else new, *[new] * (BATCH_ROWS - 2)]
    path = tmp_path_factory.mktemp("night") / "night.parquet"
    frame(*changes).astype(str).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def undisturbed(night: Path, s3: Access) -> Settings:
    """Where the same file has been ingested in peace."""
    settings = settings_for(s3)
    accounting = take(night, settings)
    assert (accounting.updated, accounting.rejected) == (BATCHES - 1, BATCHES)
    return settings


def assert_same(settings: Settings, undisturbed: Settings) -> None:
    pd.testing.assert_frame_equal(contents(settings), contents(undisturbed))
    assert rejected(settings) == rejected(undisturbed)


@pytest.mark.parametrize("batch", [0, 1, BATCHES - 1])
@pytest.mark.parametrize(
    ("moment", "committed"),
    [
        pytest.param(0, 0, id="before the unfit row is kept"),
        pytest.param(1, 0, id="after the unfit row is kept"),
        pytest.param(2, 0, id="before the commit"),
        pytest.param(3, 1, id="after the commit"),
    ],
)
def test_a_kill_between_two_writes_is_made_good_by_the_next_ingest(
    batch: int, moment: int, committed: int, night: Path, s3: Access, undisturbed: Settings
) -> None:
    settings = settings_for(s3)
    fatal = batch * MOMENTS_PER_BATCH + moment
    assert exit_code(take_until, fatal, night, settings) == KILLED
    assert take(night, settings).resumed_after == (batch + committed) * BATCH_ROWS
    assert_same(settings, undisturbed)
    versions = [ObservationsTable(each).version() for each in (settings, undisturbed)]
    assert versions[0] == versions[1]


def test_an_ingest_killed_at_random_again_and_again_gets_through(
    night: Path, s3: Access, undisturbed: Settings
) -> None:
    settings, chance, kills = settings_for(s3), random.Random(1), 0  # noqa: S311 - no secret
    while True:
        child = processes.Process(target=take, args=(night, settings))
        child.start()
        child.join(chance.uniform(0, 0.1 * (kills + 2)))  # ever longer, so that one gets through
        child.kill()
        child.join()
        assert child.exitcode in (KILLED, 0)
        if child.exitcode == 0:
            break
        kills += 1
    assert kills > 3
    assert_same(settings, undisturbed)


def test_a_server_that_dies_is_one_error_and_the_rest_is_taken_later(
    night: Path, tmp_path: Path, undisturbed: Settings
) -> None:
    server = EmbeddedS3(tmp_path)
    taken = threading.Event()
    errors: list[str] = []

    def take_until_refused(settings: Settings) -> None:
        try:
            take(night, settings, progress=lambda rows: taken.set())
        except StoreError as error:
            errors.append(str(error))

    with server as access:
        settings = settings_for(access)
        thread = threading.Thread(target=take_until_refused, args=(settings,))
        thread.start()
        assert taken.wait(30)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        thread.join()
    [error] = errors
    assert f"{access.endpoint_url} is unreachable" in error
    assert "\n" not in error

    with server as access:
        settings = settings.model_copy(update={"endpoint_url": access.endpoint_url})
        accounting = take(night, settings)
        assert 0 < accounting.resumed_after < BATCHES * BATCH_ROWS
        assert_same(settings, undisturbed)


def take_together(night: Path, settings: Settings, start: Any, outcomes: Any) -> None:
    """What each of two children does: ingest the file at the same time as the other."""
    start.wait()
    try:
        outcomes.put(take(night, settings))
    except StoreError as error:
        outcomes.put(str(error))


def test_two_ingests_of_one_source_at_once_leave_one_correct_table(
    night: Path, s3: Access, undisturbed: Settings
) -> None:
    settings = settings_for(s3)
    results = at_once(take_together, (night, settings), (night, settings))
    assert any(isinstance(result, Accounting) for result in results)
    assert not any("\n" in result for result in results if isinstance(result, str))
    take(night, settings)
    assert_same(settings, undisturbed)
    assert take(night, settings).rows_in == 0


def test_ingests_of_files_that_overlap_at_once_leave_each_key_once(
    s3: Access, tmp_path: Path
) -> None:
    """Real processes, each with a file of its own, half of it also in its neighbour's."""
    settings, writers, half = settings_for(s3), 3, 20
    files_of = [tmp_path / f"{number}.parquet" for number in range(writers)]
    for number, path in enumerate(files_of):
        plates = range(number * half + 1, (number + 2) * half + 1)
        frame(*[{"plate": plate, "fiber_id": 1} for plate in plates]).astype(str).to_parquet(path)
    results = at_once(take_together, *((path, settings) for path in files_of))
    assert all(isinstance(result, Accounting) and result.is_balanced for result in results), results
    assert list(contents(settings)["plate"]) == list(range(1, (writers + 1) * half + 1))
    assert sum(result.inserted for result in results) == (writers + 1) * half
    assert sum(result.duplicates for result in results) == (writers - 1) * half
