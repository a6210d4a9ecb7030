"""Several workers are one server: one address, one account of what was asked, one end."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import urllib3

from skyclass.registry.releases import JOBLIB_MODEL, Release
from skyclass.survey.features import INPUTS, Mode
from skyclass.tables.prediction_log import read_log
from tests.support.grpc_calls import connected, infer
from tests.support.predictor import START_SECONDS, STOP_SECONDS, Site, publish, serving, start

MODE = Mode.PHOTOMETRIC
NAME = "skyclass-photometric"
WORKERS = 2
ASKED, CALLERS = 200, 8
ROW = [20.0] * len(INPUTS[MODE])
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def release(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Release:
    return publish(site, tmp_path_factory.mktemp("files"), MODE, seed=0)


@pytest.fixture
def folder(site: Site, release: Release, tmp_path: Path) -> Path:
    site.registry.download(release, tmp_path / "models")
    return tmp_path / "models"


def workers_of(pid: int) -> list[int]:
    """The workers among a process's children, which the helper of multiprocessing is not."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    commands = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return [child for child, command in commands.items() if b"spawn_main" in command]


def test_every_worker_counts_and_logs(site: Site, release: Release, folder: Path) -> None:
    with serving(site, MODE, folder, folder / "log", workers=WORKERS) as server:
        assert len(workers_of(server.process.pid)) == WORKERS

        def ask(number: int) -> int:
            with urllib3.PoolManager(retries=False) as connection:  # another may take each
                path = f"{server.url}/v1/models/{NAME}:predict"
                return connection.request("POST", path, json={"instances": [ROW]}).status

        with ThreadPoolExecutor(CALLERS) as callers:
            assert set(callers.map(ask, range(ASKED))) == {200}
        tensor = {"name": "x", "shape": [1, 5], "datatype": "FP64"}
        with connected(server.grpc) as stub:
            infer(stub, NAME, inputs=[{**tensor, "contents": {"fp64_contents": ROW}}])
        for _ in range(2 * WORKERS):  # whoever answers
            labels = f'model_name="{NAME}",protocol="v1",status="2xx"'
            assert server.metric(f"skyclass_request_seconds_count{{{labels}}}") == ASKED
        assert server.stop() == 0

    now = datetime.now(UTC)
    rows = read_log(site.store, now - HOUR, now + HOUR, MODE, release.id).rows
    assert rows["request_id"].nunique() == len(rows) == ASKED + 1


def test_the_end_of_one_worker_ends_the_server(site: Site, folder: Path) -> None:
    with serving(site, MODE, folder, folder / "log", workers=WORKERS) as server:
        os.kill(workers_of(server.process.pid)[0], signal.SIGKILL)
        assert server.process.wait(STOP_SECONDS) == 1
        assert "error: a worker ended with status -9: see the log, then start again" in server.log


def test_what_no_worker_can_serve_is_told_once(site: Site, folder: Path) -> None:
    (folder / JOBLIB_MODEL).write_bytes(b"damaged")
    server = start(site, MODE, folder, folder / "log", workers=WORKERS)
    assert server.process.wait(START_SECONDS) == 1
    assert server.log.startswith(f"error: {JOBLIB_MODEL}: ")
    assert len(server.log.splitlines()) == 1
