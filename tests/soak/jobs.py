"""The jobs of a soak: ingest, score, drift and maintenance in each window, and trainings."""

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from skyclass.monitoring.documents import window_prefix
from skyclass.sources import SimulatedSource
from skyclass.survey.observation import KEY
from tests.soak.load import MODE
from tests.soak.processes import is_connected, kill_group
from tests.soak.schedule import Schedule
from tests.soak.system import System
from tests.support.faults.history import History

BOOTSTRAP = "simulated:?rows=4000&era=legacy&seed=0"
ROWS = 100
"""Rows of each ingest."""

_TIMEOUT_SECONDS = 300
_RUN_ID = re.compile(r'"run_id": "([^"]+)"')
"""In the inputs of the step `publish`: the id of the run is that of its release."""
_TRAINING = ("mode=" + MODE, "candidates=decision_tree", "search_seconds=0")


@dataclass(frozen=True)
class JobRun:
    """A run of a job.

    Attributes:
        name: Its command.
        start: Unix time.
        end: Unix time.
        status: Exit status.
        message: Last line of its standard error, if it failed.
    """

    name: str
    start: float
    end: float
    status: int
    message: str = ""


class Jobs:
    """Runs jobs, and repeats in the next window what failed.

    Attributes:
        runs: All runs so far.
    """

    def __init__(self, system: System, schedule: Schedule, history: History) -> None:
        self.runs: list[JobRun] = []
        self._system = system
        self._schedule = schedule
        self._history = history
        self._sources: list[str] = []
        self._seeds = 0
        self._next_window = 0
        self._to_kill = ""
        self._killed = threading.Event()

    def bootstrap(self) -> None:
        """Ingest the first observations, and train and promote the first release."""
        self._history.attempt(*_list_keys(BOOTSTRAP))
        if not self._train(BOOTSTRAP):
            raise RuntimeError(f"the first training failed: {self.runs[-1].message}")
        self._history.acknowledge(*_list_keys(BOOTSTRAP))
        self._next_window = _floor(time.time(), self._schedule.window_seconds)

    def run_window(self) -> None:
        """Run each job of a window once; only drift for each window that has ended."""
        self._seeds += 1
        self._sources.append(f"simulated:?rows={ROWS}&era=legacy&seed={self._seeds}")
        for source in list(self._sources):
            keys = _list_keys(source)
            self._history.attempt(*keys)
            if self._run("ingest", source):
                self._history.acknowledge(*keys)
                self._sources.remove(source)
        self._run("score", "table:")
        self._evaluate_windows()
        self._run("maintain")

    def train(self) -> None:
        """Train a release and promote it."""
        self._train("table:")

    def kill_next(self, name: str) -> threading.Event:
        """Let the next run of a job be killed at work; the event is set afterwards."""
        self._killed = threading.Event()
        self._to_kill = name
        return self._killed

    def find_killed(self, name: str) -> JobRun:
        """Return the last run of a job that was killed."""
        killed = (name, -signal.SIGKILL)
        return next(run for run in reversed(self.runs) if (run.name, run.status) == killed)

    def has_succeeded(self, name: str, since: float) -> bool:
        """Return whether a job that started since a Unix time has succeeded."""
        return any(run.name == name and run.status == 0 and run.start >= since for run in self.runs)

    def count(self) -> dict[str, int]:
        """Return the number of successful runs of each job."""
        return dict(sorted(Counter(run.name for run in self.runs if run.status == 0).items()))

    def _evaluate_windows(self) -> None:
        """Evaluate each window that has ended so long ago that its log is written."""
        length, late = self._schedule.window_seconds, self._schedule.flush_seconds * 1.5
        now = time.time()
        while self._next_window + length + late < now:
            start, end = self._next_window, self._next_window + length
            key = f"verdict {window_prefix(MODE, datetime.fromtimestamp(end, UTC))}"
            self._history.attempt(key)
            if not self._run("drift", "--start", _format(start), "--end", _format(end)):
                return
            self._history.acknowledge(key)
            self._next_window = end

    def _train(self, source: str) -> bool:
        parameters = (f"--param={each}" for each in (*_TRAINING, f"source_uri={source}"))
        done = self._run("run", "training", *parameters)
        for log in (self._system.home / "runs").glob("*/log.txt"):
            self._history.attempt(*_find_release_keys(log))
        if not done:
            return False
        self._history.acknowledge(*_find_release_keys(Path(done["log"])))
        promotion = f"promotion {done['release_id']}"
        self._history.attempt(promotion)
        if not done["promoted"] and not self._run(
            "promote", done["release_id"], "--approve", "--reason", "soak", "--by", "soak"
        ):
            return False
        self._history.acknowledge(promotion)
        if self._system.has_servers:
            self._system.wait_until_served(done["release_id"])
        return True

    def _run(self, name: str, *arguments: str) -> dict[str, Any] | None:
        """Run a command, and return its result; None if it failed or was killed."""
        command = [sys.executable, "-m", "skyclass", name, *arguments, "--json"]
        start = time.time()
        with TemporaryFile() as output, TemporaryFile() as errors:
            process = subprocess.Popen(
                command,
                env=self._system.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
            try:
                if name == self._to_kill:
                    self._kill_at_work(name, process)
                self._system.expect(
                    lambda: process.poll() is not None, f"{name} ends", _TIMEOUT_SECONDS
                )
            finally:
                if process.poll() is None:
                    kill_group(process)
            output.seek(0)
            errors.seek(0)
            result, lines = output.read(), errors.read().decode(errors="replace").splitlines()
        status = process.wait()
        message = lines[-1] if lines and status else ""
        self.runs.append(JobRun(name, start, time.time(), status, message))
        if name == self._to_kill and status == -signal.SIGKILL:
            self._to_kill = ""
            self._killed.set()
        return json.loads(result) if status == 0 else None

    def _kill_at_work(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Kill a run when it is connected to the object store, unless it ends before."""
        self._system.expect(
            lambda: process.poll() is not None or is_connected(process),
            f"{name} connects to the object store",
            _TIMEOUT_SECONDS,
        )
        if process.poll() is None:
            kill_group(process)


def _list_keys(source: str) -> list[str]:
    """Return the keys of the rows of a source."""
    return [
        f"row {'-'.join(map(str, key))}"
        for batch in SimulatedSource.from_uri(source).read_batches(0)
        for key in zip(*(batch.rows[name].to_pylist() for name in KEY), strict=True)
    ]


def _find_release_keys(log: Path) -> list[str]:
    """Return the key of the release that a run has published or tried to publish, if any."""
    return [f"release {found}" for found in dict.fromkeys(_RUN_ID.findall(log.read_text()))]


def _floor(time: float, length: int) -> int:
    return int(time // length * length)


def _format(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%SZ}"
