"""Trainers that the retraining loop starts: this machine, or a KFP backend."""

from collections.abc import Mapping
from pathlib import Path

from skyclass.errors import TrainingError
from skyclass.monitoring.decisions import Run, RunState
from skyclass.orchestration.backend import Backend
from skyclass.orchestration.backend_errors import NotFoundError, UnavailableError
from skyclass.orchestration.local_runner import run_training
from skyclass.orchestration.step_logs import find_failure, read_outcome
from skyclass.orchestration.submit import SubmittedRun, find_run, submit_run
from skyclass.orchestration.wait import SUCCEEDED, UNSUCCESSFUL_STATES


class LocalTrainer:
    """Runs the training pipeline on this machine; a run has ended when `start` returns.

    Args:
        runs: Folder of all local runs.
    """

    def __init__(self, runs: Path) -> None:
        self._runs = runs

    def start(self, name: str, parameters: Mapping[str, str]) -> Run:
        """Run the pipeline to its end; a failed run is returned, not raised."""
        run_id = f"local-{name}"
        try:
            finished = run_training(parameters, self._runs, lambda step: None)
        except TrainingError as error:
            return Run(state=RunState.FAILED, id=run_id, message=str(error))
        return Run(
            state=RunState.SUCCEEDED,
            id=run_id,
            release=finished.release_id,
            promoted=finished.promoted,
            message=finished.verdict,
        )

    def find(self, name: str) -> None:
        """Return None: a run that was interrupted never ends."""

    def refresh(self, run: Run) -> Run:
        """Return the run unchanged: it has ended."""
        return run


class KfpTrainer:
    """Submits the training pipeline to a KFP backend.

    Args:
        backend: Client of the backend.
        service_account: ServiceAccount of the runs' pods; None for KFP's default.
    """

    def __init__(self, backend: Backend, service_account: str | None = None) -> None:
        self._backend = backend
        self._service_account = service_account

    def start(self, name: str, parameters: Mapping[str, str]) -> Run:
        """Submit a run.

        Raises:
            SkyclassError: KFP is unreachable or rejected the request.
        """
        return _to_run(submit_run(self._backend, parameters, self._service_account, name))

    def find(self, name: str) -> Run | None:
        """Return the run that was submitted under a name, or None.

        Raises:
            SkyclassError: KFP is unreachable or rejected the request.
        """
        submitted = find_run(self._backend, name)
        return _to_run(submitted) if submitted else None

    def refresh(self, run: Run) -> Run:
        """Return the run with its current state; unchanged if KFP is unavailable."""
        try:
            status = self._backend.get_run(run.id or "")
        except UnavailableError:
            return run
        except NotFoundError:
            lost = {"state": RunState.FAILED, "message": "KFP does not have this run any more"}
            return run.model_copy(update=lost)
        if status.state not in (SUCCEEDED, *UNSUCCESSFUL_STATES):
            return run
        if status.state != SUCCEEDED:
            failure = find_failure(self._backend, run.id or "", status)
            reason = failure.error or status.message or f"KFP reports {status.state}"
            message = f"step {failure.step}: {reason}" if failure.step else reason
            return run.model_copy(update={"state": RunState.FAILED, "message": message})
        outcome = read_outcome(self._backend, run.id or "", status)
        result = (
            {
                "release": outcome.release_id,
                "promoted": outcome.promoted,
                "message": outcome.verdict,
            }
            if outcome
            else {"message": "KFP reports SUCCEEDED"}
        )
        return run.model_copy(update={"state": RunState.SUCCEEDED, **result})


def _to_run(submitted: SubmittedRun) -> Run:
    return Run(state=RunState.RUNNING, id=submitted.run_id, link=submitted.link)
