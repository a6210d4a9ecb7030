"""The faults of a soak, one after the other, and the recovery from each of them."""

import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from threading import Event

import urllib3

from tests.soak.jobs import Jobs
from tests.soak.system import KILLED, NotRecoveredError, System
from tests.support.fault_proxy import Effect, Fault
from tests.support.faults.history import History

logger = logging.getLogger(__name__)

DOWN_SECONDS = 3.0
BURST_SECONDS = 10.0
LOST_RESPONSES = 3
_TIMEOUT_SECONDS = 300
_ALL = 10**9


@dataclass(frozen=True)
class Injection:
    """A fault that was injected; times are Unix times.

    Attributes:
        title: What was injected.
        start: Its start.
        end: Its end, when the recovery begins.
        recovered: When the system worked again.
        evidence: What was seen of it.
    """

    title: str
    start: float
    end: float
    recovered: float
    evidence: str


class Faults:
    """Injects the kinds of faults in turn.

    Attributes:
        injections: Faults so far.
        kills: Unix times at which the second predictor was killed.
        lost_rows: Rows of its log that it has counted as lost when it started again.
    """

    def __init__(self, system: System, jobs: Jobs, history: History) -> None:
        self.injections: list[Injection] = []
        self.kills: list[float] = []
        self.lost_rows = 0.0
        self._system, self._jobs, self._history = system, jobs, history
        self._kinds: tuple[tuple[str, Callable[[], str], Callable[[], None]], ...] = (
            ("SIGKILL of the object store", self._kill_store, system.wait_until_logged),
            ("503 from the object store", self._deny_service, system.wait_until_logged),
            ("SIGKILL of a job", self._kill_job, self._wait_for_job),
            ("object store answers after 5 s", self._delay, system.wait_until_logged),
            ("SIGKILL of a predictor", self._kill_predictor, self._wait_for_predictor),
            ("acknowledgements of writes lost", self._lose_responses, system.wait_until_logged),
        )
        self._jobs_to_kill = cycle(("ingest", "score", "drift", "maintain"))
        self._job, self._start = "", 0.0

    def run(self, interval_seconds: float, stop: Event) -> None:
        """Inject a fault in each interval, the first after half of one, until the end.

        Raises:
            NotRecoveredError: A fault did not happen, or the system did not recover from it.
        """
        due = time.monotonic() + interval_seconds / 2
        for kind in cycle(self._kinds):
            if stop.wait(max(due - time.monotonic(), 0)):
                return
            self._inject(*kind)
            due += interval_seconds

    def _inject(self, title: str, inject: Callable[[], str], recover: Callable[[], None]) -> None:
        self._start = time.time()
        evidence = inject()
        self._history.fire(f"{title}: {evidence}")
        end = time.time()
        with self._history.recovery():
            recover()
        self.injections.append(Injection(title, self._start, end, time.time(), evidence))
        logger.info("%s: %s; recovered after %.1f s", title, evidence, time.time() - end)

    def _kill_store(self) -> str:
        self._system.kill_store()
        time.sleep(DOWN_SECONDS)
        with urllib3.PoolManager(retries=False) as http:
            try:
                http.request("GET", self._system.settings.endpoint_url, timeout=2)
            except urllib3.exceptions.HTTPError as error:
                evidence = type(error).__name__
            else:
                raise NotRecoveredError("the object store answered after it was killed")
        self._system.start_store()
        return f"no answer for {DOWN_SECONDS:.0f} s ({evidence})"

    def _deny_service(self) -> str:
        return self._inject_for_a_while(Effect.UNAVAILABLE)

    def _delay(self) -> str:
        return self._inject_for_a_while(Effect.DELAYED)

    def _inject_for_a_while(self, effect: Effect) -> str:
        """Apply an effect to all requests for some seconds, at least to one."""
        proxy, before = self._system.proxy, len(self._system.proxy.list_evidence())
        proxy.inject(Fault(effect, times=_ALL))
        time.sleep(BURST_SECONDS)
        return self._wait_for_hits(before, 1)

    def _lose_responses(self) -> str:
        proxy, before = self._system.proxy, len(self._system.proxy.list_evidence())
        proxy.inject(Fault(Effect.LOST, "PUT", times=LOST_RESPONSES))
        return self._wait_for_hits(before, LOST_RESPONSES)

    def _wait_for_hits(self, before: int, number: int) -> str:
        """Wait until the fault had its effect, end it, and describe its hits."""
        proxy = self._system.proxy
        self._system.expect(
            lambda: len(proxy.list_evidence()) >= before + number,
            "requests reach the object store",
            _TIMEOUT_SECONDS,
        )
        proxy.inject(None)
        hits = proxy.list_evidence()[before:]
        method, path = hits[0].split()[:2]
        return f"{len(hits)} requests, the first {method} {path.partition('?')[0]}"

    def _kill_job(self) -> str:
        self._job = next(self._jobs_to_kill)
        killed = self._jobs.kill_next(self._job)
        self._system.expect(killed.is_set, f"{self._job} is killed", _TIMEOUT_SECONDS)
        self._start = self._jobs.find_killed(self._job).start  # it has waited for the next window
        return f"{self._job} ended with SIGKILL"

    def _wait_for_job(self) -> None:
        """Wait until the job has run again, as its schedule starts it."""
        self._system.expect(
            lambda: self._jobs.has_succeeded(self._job, self._start),
            f"{self._job} succeeds",
            _TIMEOUT_SECONDS,
        )

    def _kill_predictor(self) -> str:
        self.kills.append(time.time())
        status = self._system.restart(KILLED)
        if status != -signal.SIGKILL:
            raise NotRecoveredError(f"the predictor had ended before, with status {status}")
        return "it ended with SIGKILL"

    def _wait_for_predictor(self) -> None:
        killed = self._system.targets[1]
        self._system.wait_until_ready(killed)
        self.lost_rows += self._system.count_lost(killed)
