"""Waiting for a run on a KFP backend, across restarts of the backend."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from skyclass.errors import TrainingError
from skyclass.orchestration.backend import Backend
from skyclass.orchestration.backend_errors import UnavailableError
from skyclass.orchestration.backend_models import RunStatus
from skyclass.orchestration.step_logs import Failure, find_failure, read_outcome
from skyclass.orchestration.submit import SubmittedRun
from skyclass.polling import poll

SUCCEEDED = "SUCCEEDED"
UNSUCCESSFUL_STATES = ("FAILED", "SKIPPED", "CANCELED")

OUTAGE_TOLERANCE_SECONDS = 300.0
"""How long a backend may be unavailable during a wait: longer than a restart takes."""

_UNKNOWN_OUTCOME = {
    "release_id": None,
    "promoted": None,
    "verdict": "unknown: the log of step publish is not available, see its outputs in KFP",
    "waits_for_approval": None,
}


@dataclass(frozen=True)
class SucceededRun(SubmittedRun):
    """A run that succeeded.

    Attributes:
        release_id: Id of the published release; None if the log of the last step is not available.
        promoted: Whether the release became champion; None likewise.
        verdict: Reason for the promotion, or against it.
        waits_for_approval: Whether the release waits until a person approves it; None likewise.
    """

    release_id: str | None
    promoted: bool | None
    verdict: str
    waits_for_approval: bool | None


def wait_for_run(
    backend: Backend,
    run: SubmittedRun,
    timeout_seconds: float,
    on_state: Callable[[str], None] = lambda state: None,
    interval_seconds: float = 5.0,
    outage_tolerance_seconds: float = OUTAGE_TOLERANCE_SECONDS,
) -> SucceededRun:
    """Wait until a run has succeeded.

    Args:
        backend: Client of the backend.
        run: The run.
        timeout_seconds: Time after which the wait ends with an error.
        on_state: Called with each new state.
        interval_seconds: Time between two requests.
        outage_tolerance_seconds: How long the backend may be unavailable.

    Raises:
        TrainingError: The run did not succeed, or not in time; the message has the error of the
            failed step if its log is available.
        BackendError: The backend was unavailable for too long.
    """
    state = run.state
    last_response = time.monotonic()

    def get_ended_run() -> RunStatus | None:
        nonlocal state, last_response
        try:
            status = backend.get_run(run.run_id)
        except UnavailableError:
            if time.monotonic() > last_response + outage_tolerance_seconds:
                raise
            return None
        last_response = time.monotonic()
        if status.state != state:
            state = status.state
            on_state(state)
        return status if state in (SUCCEEDED, *UNSUCCESSFUL_STATES) else None

    ended = poll(get_ended_run, timeout_seconds, interval_seconds)
    if ended is None:
        raise TrainingError(f"run is {state} after {timeout_seconds:.0f} s: see {run.link}")
    if ended.state != SUCCEEDED:
        failure = find_failure(backend, run.run_id, ended)
        raise TrainingError(f"{_describe(ended, failure)}: see its log at {run.link}")
    outcome = read_outcome(backend, run.run_id, ended)
    result = outcome.model_dump() if outcome else _UNKNOWN_OUTCOME
    return SucceededRun(**asdict(run) | {"state": ended.state}, **result)


def _describe(run: RunStatus, failure: Failure) -> str:
    where = f" in step {failure.step}" if failure.step else ""
    message = f" ({run.message})" if run.message else ""
    return f"run ended {run.state}{where}" + (f": {failure.error}" if failure.error else message)
