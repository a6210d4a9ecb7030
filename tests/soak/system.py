"""The system under test: object store, two predictors and the monitor page, on one machine."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Self

import urllib3

from skyclass.client import Client
from skyclass.errors import ServingError
from skyclass.http import make_pool
from skyclass.local.ports import find_free_ports
from skyclass.local.s3_server import EmbeddedS3
from skyclass.polling import poll
from skyclass.settings import Settings
from skyclass.sockets import LOOPBACK
from skyclass.storage.s3 import ObjectStore
from tests.soak.load import MODE, Target
from tests.soak.processes import Part
from tests.soak.schedule import Schedule
from tests.support.fault_proxy import run_fault_proxy

STEADY, KILLED, PAGE, STORE = "predictor", "killed predictor", "monitor page", "object store"
"""Names of the processes: the first predictor is never restarted."""

READY_SECONDS = 90


class NotRecoveredError(Exception):
    """A part of the system did not work in time."""


class System:
    """The processes, as a context manager that stops them; the jobs reach the store by a proxy.

    Attributes:
        home: Home folder of skyclass and folder of the log files.
        proxy: Injects faults of the object store.
        aborted: Ends all waiting.
        environment: Environment of all processes.
        targets: The predictors.
        page_url: URL of the monitor page.
    """

    def __init__(self, home: Path, schedule: Schedule) -> None:
        """Prepare the processes; nothing is started yet.

        Args:
            home: Empty folder.
            schedule: Intervals.
        """
        self.aborted = threading.Event()
        self.home = home
        self._ports = find_free_ports(6)
        self._s3 = EmbeddedS3(home, self._ports[0])
        self._schedule = schedule
        self._parts: dict[str, Part] = {}
        self.targets = (
            Target(STEADY, *self._ports[1:3]),
            Target(KILLED, *self._ports[3:5]),
        )
        self.page_url = f"http://{LOOPBACK}:{self._ports[5]}"

    def __enter__(self) -> Self:
        """Start the object store and the proxy."""
        with ExitStack() as stack:
            access = self._s3.__enter__()
            stack.callback(self._stop_store)
            self.proxy = stack.enter_context(run_fault_proxy(access.endpoint_url))
            stack.callback(self._stop_servers)
            own = {**access.environment(), "AWS_ENDPOINT_URL": self.proxy.get_url()}
            self.environment = {**os.environ, **own, **self._choose_settings()}
            self.settings = Settings(**own, home=self.home)
            self.store = ObjectStore(self.settings)
            self.store.make_buckets()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop all processes; the predictors write what they have logged."""
        self._stack.close()

    def start_servers(self) -> None:
        """Start the predictors and the page, and wait until they are ready."""
        for target in self.targets:
            ports = ["--port", str(target.port), "--grpc-port", str(target.grpc_port)]
            self._start(target.name, ["serve", "--mode", MODE, *ports])
        self._start(PAGE, ["monitor", "--port", str(self._ports[5])])
        for target in self.targets:
            self.wait_until_ready(target)
        with urllib3.PoolManager(retries=False) as http:
            self.expect(
                lambda: _is_ok(http, f"{self.page_url}/healthz"), "the monitor page is ready"
            )

    @property
    def has_servers(self) -> bool:
        """Whether the predictors were started."""
        return bool(self._parts)

    def find_pid(self, name: str) -> int | None:
        """Return the id of a running process, or None."""
        return self._s3.pid if name == STORE else self._parts[name].pid

    def restart(self, name: str) -> int:
        """Kill a process and start it again; return its exit status."""
        status = self._parts[name].kill()
        self._parts[name].start()
        return status

    def stop_predictors(self) -> None:
        """Stop the predictors, which write what they have logged."""
        for target in self.targets:
            self._parts[target.name].stop()

    def _stop_store(self) -> None:
        self._s3.__exit__(None, None, None)

    def _stop_servers(self) -> None:
        stops = [threading.Thread(target=part.stop) for part in self._parts.values()]
        for each in stops:
            each.start()
        for each in stops:
            each.join()

    def _choose_settings(self) -> dict[str, str]:
        period = timedelta(seconds=self._schedule.window_seconds) / timedelta(hours=1)
        return {
            "SKYCLASS_HOME": str(self.home),
            "SKYCLASS_DRIFT_PERIOD_HOURS": str(period),
            "SKYCLASS_SERVING_LOG_FLUSH_SECONDS": str(self._schedule.flush_seconds),
        }

    def kill_store(self) -> None:
        """Kill the object store."""
        pid = self._s3.pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        self._stop_store()

    def start_store(self) -> None:
        """Start the object store again, at the same address and with the same data."""
        self._s3 = EmbeddedS3(self.home, self._ports[0])
        self._s3.__enter__()

    def wait_until_ready(self, target: Target) -> None:
        """Wait until a predictor answers."""
        client = Client(f"http://{LOOPBACK}:{target.port}", MODE)
        self.expect(client.is_ready, f"the {target.name} is ready")

    def wait_until_served(self, release: str) -> None:
        """Wait until both predictors serve a release."""
        for target in self.targets:
            client = Client(f"http://{LOOPBACK}:{target.port}", MODE)
            what = f"the {target.name} serves release {release[:12]}"
            self.expect(lambda client=client: _is_served(client, release), what)

    def wait_until_logged(self) -> None:
        """Wait until each predictor has written predictions of after this call."""
        with make_pool(connect_seconds=5, read_seconds=10) as http:
            before = [_count_rows(http, target, "written") for target in self.targets]
            for target, rows in zip(self.targets, before, strict=True):
                self.expect(
                    lambda target=target, rows=rows: _count_rows(http, target, "written") > rows,
                    f"the {target.name} writes its log",
                )

    def expect(
        self, condition: Callable[[], bool], what: str, seconds: float = READY_SECONDS
    ) -> None:
        """Wait until a condition holds.

        Raises:
            NotRecoveredError: It does not hold in time, or the soak was aborted.
        """
        if not poll(lambda: self.aborted.is_set() or condition(), seconds):
            raise NotRecoveredError(f"not within {seconds:.0f} s: {what}")
        if self.aborted.is_set():
            raise NotRecoveredError(f"aborted while waiting until {what}")

    def count_lost(self, target: Target) -> float:
        """Return the rows of its log that a predictor has counted as lost when it started."""
        with make_pool(connect_seconds=5, read_seconds=10) as http:
            return _count_rows(http, target, "lost")

    def _start(self, name: str, arguments: list[str]) -> None:
        waiting = {"SKYCLASS_SERVING_LOG_WAITING_FILE": str(self.home / f"{name}.waiting")}
        self._parts[name] = Part(name, arguments, self.environment | waiting, self.home)
        self._parts[name].start()


def _is_served(client: Client, release: str) -> bool:
    try:
        return client.model_version() == release
    except ServingError:  # it was killed
        return False


def _is_ok(http: urllib3.PoolManager, url: str) -> bool:
    try:
        return http.request("GET", url, timeout=10).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def _count_rows(http: urllib3.PoolManager, target: Target, outcome: str) -> float:
    """Return the number of rows of the log of a predictor with an outcome."""
    text = http.request("GET", f"http://{LOOPBACK}:{target.port}/metrics").data.decode()
    name = f'skyclass_log_rows_total{{outcome="{outcome}"}}'
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))
