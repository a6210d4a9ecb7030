"""Server processes: start-up time, CPU time and memory."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 60
_POLL_SECONDS = 0.02
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        pid: Process id.
        url: URL of the prediction endpoint.
        ready_seconds: Time from the start to the first response.
    """

    pid: int
    url: str
    ready_seconds: float

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_megabytes(self) -> float:
        """Return the resident memory of the process."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def running(
    arguments: Sequence[str], url: str, body: bytes, environment: Mapping[str, str]
) -> Iterator[Server]:
    """Run a Python server and wait for its first response."""
    started = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 - our own programs
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with urllib3.PoolManager(retries=False) as http:
            while not _is_ready(http, url, body):
                if process.poll() is not None or time.monotonic() - started > START_SECONDS:
                    raise SystemExit(f"the server did not start: python {' '.join(arguments)}")
                time.sleep(_POLL_SECONDS)
        yield Server(process.pid, url, time.monotonic() - started)
    finally:
        process.terminate()
        process.wait()


def _is_ready(http: urllib3.PoolManager, url: str, body: bytes) -> bool:
    headers = {"Content-Type": "application/json"}
    try:
        return http.request("POST", url, body=body, headers=headers).status == 200
    except urllib3.exceptions.HTTPError:
        return False
