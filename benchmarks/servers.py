"""Server processes: how long they take to start, and what they cost."""

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
        pid: Its process.
        url: Where it predicts.
        ready_seconds: How long it took from its start to its first answer.
    """

    pid: int
    url: str
    ready_seconds: float

    def cpu_seconds(self) -> float:
        """CPU time that the process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_megabytes(self) -> float:
        """Memory that the process holds."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def running(
    arguments: Sequence[str], url: str, body: bytes, environment: Mapping[str, str]
) -> Iterator[Server]:
    """Run a Python program that answers at an address, and wait for its first answer."""
    begun = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 - our own programs
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with urllib3.PoolManager(retries=False) as http:
            while not _answers(http, url, body):
                if process.poll() is not None or time.monotonic() - begun > START_SECONDS:
                    raise SystemExit(f"does not start: python {' '.join(arguments)}")
                time.sleep(_POLL_SECONDS)
        yield Server(process.pid, url, time.monotonic() - begun)
    finally:
        process.terminate()
        process.wait()


def _answers(http: urllib3.PoolManager, url: str, body: bytes) -> bool:
    headers = {"Content-Type": "application/json"}
    try:
        return http.request("POST", url, body=body, headers=headers).status == 200
    except urllib3.exceptions.HTTPError:
        return False
