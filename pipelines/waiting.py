"""Waits for a run on a KFP backend, through restarts of the backend, and says how it ended."""

import time
from collections.abc import Callable
from dataclasses import replace

from pipelines.backend import Backend, Run
from pipelines.backend_errors import UnavailableError
from pipelines.submit import Submitted
from pipelines.training import PODS
from skyclass.errors import TrainingError

SUCCEEDED = "SUCCEEDED"
ENDED_BADLY = ("FAILED", "SKIPPED", "CANCELED")

PATIENCE = 300.0
"""Seconds that a backend may be silent while a run is waited for: it may be restarted."""


def wait(
    backend: Backend,
    submitted: Submitted,
    seconds: float,
    on_state: Callable[[str], None] = lambda state: None,
    pause: float = 5.0,
    patience: float = PATIENCE,
) -> Submitted:
    """Wait until a run has ended well.

    Args:
        backend: The backend.
        submitted: The run.
        seconds: For how long at most.
        on_state: Told each state that the run comes to.
        pause: Seconds between two questions.
        patience: Seconds that the backend may be silent, as it is while it is restarted.

    Raises:
        TrainingError: It ended otherwise, or not in time.
        BackendError: The backend fell silent.
    """
    heard = time.monotonic()
    deadline, state = heard + seconds, submitted.state
    while True:
        try:
            run = backend.run(submitted.run_id)
        except UnavailableError:
            if time.monotonic() > heard + patience:
                raise
        else:
            heard = time.monotonic()
            if run.state != state:
                state = run.state
                on_state(state)
            if state == SUCCEEDED:
                return replace(submitted, state=state)
            if state in ENDED_BADLY:
                raise TrainingError(f"{_ending(run)}: see its log at {submitted.link}")
        if time.monotonic() > deadline:
            raise TrainingError(
                f"the run is {state} after {seconds:.0f} s: look at it at {submitted.link}"
            )
        time.sleep(pause)


def _ending(run: Run) -> str:
    step = next((step for step in PODS if step in run.failed), None)
    where = f" in step {step}" if step else ""
    said = f" ({run.message})" if run.message else ""
    return f"the run ended {run.state}{where}{said}"
