"""Jobs while a disk is full: that of the object store, or their own.

A limit of the file size of the process (RLIMIT_FSIZE) stands for the full disk. Unlike a small file
system, it needs no privileges, can be lifted while the process runs, and fails the same writes.
"""

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from skyclass.local.s3_server import Access, EmbeddedS3
from skyclass.storage.s3 import ObjectStore
from tests.support.command_line import CommandLine
from tests.support.faults.history import History
from tests.support.faults.jobs import Prepare, every_job, prepare_maintain, run_again

SMALL_BYTES = 1_000


@contextmanager
def limit_files(pid: int, size: int) -> Iterator[None]:
    """Limit the size to which a process can extend files, in bytes."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def server(tmp_path: Path) -> EmbeddedS3:
    return EmbeddedS3(tmp_path / "s3")


@pytest.fixture
def s3(server: EmbeddedS3) -> Iterator[Access]:
    """A server of one test."""
    with server as access:
        yield access


@pytest.fixture
def command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    monkeypatch.setenv("SKYCLASS_S3_RETRIES", "1")
    return CommandLine(monkeypatch, capsys)


@every_job
@pytest.mark.fault("disk-full")
def test_disk_of_the_store_is_full(
    prepare: Prepare,
    store: ObjectStore,
    server: EmbeddedS3,
    command_line: CommandLine,
    history: History,
    tmp_path: Path,
) -> None:
    job = prepare(store, command_line, tmp_path)
    history.acknowledge(*job.before)
    history.attempt(*job.keys)
    assert server.pid is not None
    with limit_files(server.pid, SMALL_BYTES):
        error = job.run()
    server.__exit__(None, None, None)
    # The server reports some failed writes, and retries others for longer than its client waits.
    assert "failed (InternalError): try again, or see its log" in error or "unreachable" in error
    history.fire(error)
    # The server's own index, which has met the limit as well, is written again after a restart.
    port = int(store.settings.endpoint_url.rsplit(":", 1)[1])
    with EmbeddedS3(tmp_path / "s3", port):
        run_again(job, history)


@pytest.mark.fault("disk-full")
@pytest.mark.parametrize(
    ("free_bytes", "reason"),
    [(0, "No usable temporary directory found in"), (SMALL_BYTES, "File too large")],
)
def test_disk_of_the_job_is_full(
    free_bytes: int,
    reason: str,
    store: ObjectStore,
    command_line: CommandLine,
    history: History,
    tmp_path: Path,
) -> None:
    job = prepare_maintain(store, command_line, tmp_path)
    history.acknowledge(*job.before)
    history.attempt(*job.keys)
    done = subprocess.run(
        [sys.executable, "-m", "skyclass", "maintain"],
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (free_bytes, resource.RLIM_INFINITY)
        ),
    )
    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if "error:" in line]
    assert "Traceback" not in done.stderr
    assert reason in error
    assert "or set TMPDIR to another disk" in error
    history.fire(error)
    run_again(job, history)
