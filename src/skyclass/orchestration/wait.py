"""Waiting for a run on a KFP backend, across restarts of the backend."""

import time
from collections.abc import Callable
from dataclasses import replace

from skyclass.errors import TrainingError
from skyclass.orchestration.backend import Backend, RunStatus
from skyclass.orchestration.backend_errors import UnavailableError
from skyclass.orchestration.package import TRAINING, load_package
from skyclass.orchestration.submit import SubmittedRun
from skyclass.polling import poll

SUCCEEDED = "SUCCEEDED"
UNSUCCESSFUL_STATES = ("FAILED", "SKIPPED", "CANCELED")

OUTAGE_TOLERANCE_SECONDS = 300.0
"""How long a backend may be unavailable during a wait: longer than a restart takes."""


def wait_for_run(
    backend: Backend,
    run: SubmittedRun,
    timeout_seconds: float,
    on_state: Callable[[str], None] = lambda state: None,
    interval_seconds: float = 5.0,
    outage_tolerance_seconds: float = OUTAGE_TOLERANCE_SECONDS,
) -> SubmittedRun:
    """Wait until a run has succeeded.

    Args:
        backend: Client of the backend.
        run: The run.
        timeout_seconds: Time after which the wait ends with an error.
        on_state: Called with each new state.
        interval_seconds: Time between two requests.
        outage_tolerance_seconds: How long the backend may be unavailable.

    Raises:
        TrainingError: The run did not succeed, or not in time.
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
        raise TrainingError(f"{_describe_failure(ended)}: see its log at {run.link}")
    return replace(run, state=ended.state)


def _describe_failure(run: RunStatus) -> str:
    steps = (name for tasks in load_package(TRAINING).task_graphs for name in tasks)
    failed = next((step for step in steps if step in run.failed), None)
    where = f" in step {failed}" if failed else ""
    message = f" ({run.message})" if run.message else ""
    return f"run ended {run.state}{where}{message}"
