"""What runs the training pipeline for monitoring: KFP, or this machine."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pipelines.backend import Backend
from pipelines.backend_errors import NotFoundError, UnavailableError
from pipelines.local import run_training
from pipelines.submit import submit
from pipelines.waiting import ENDED_BADLY, SUCCEEDED
from skyclass.errors import TrainingError
from skyclass.monitoring.retraining import Run, RunState


class LocalTrainer:
    """Runs the pipeline here; a run has ended when it has started."""

    def __init__(self, runs: Path) -> None:
        """Keep the runs in a folder."""
        self._runs = runs

    def start(self, parameters: Mapping[str, str]) -> Run:
        """Run the pipeline to its end; that it failed is an answer, too."""
        name = f"local-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        try:
            done = run_training(parameters, self._runs, lambda step: None)
        except TrainingError as error:
            return Run(state=RunState.FAILED, id=name, message=str(error))
        return Run(
            state=RunState.SUCCEEDED,
            id=name,
            release=done.release_id,
            promoted=done.promoted,
            message=done.verdict,
        )

    def look(self, run: Run) -> Run:
        """What has not ended here never will."""
        return run


class KfpTrainer:
    """Submits the pipeline to a KFP backend."""

    def __init__(self, backend: Backend, service_account: str | None = None) -> None:
        """Submit to a backend; runs have this account, else KFP's default."""
        self._backend = backend
        self._service_account = service_account

    def start(self, parameters: Mapping[str, str]) -> Run:
        """Submit a run.

        Raises:
            SkyclassError: KFP cannot be reached, or refuses.
        """
        done = submit(self._backend, parameters, self._service_account)
        return Run(state=RunState.RUNNING, id=done.run_id, link=done.link)

    def look(self, run: Run) -> Run:
        """Ask KFP how a run stands; when KFP is silent, as it did."""
        try:
            found = self._backend.run(run.id or "")
        except UnavailableError:
            return run
        except NotFoundError:
            gone = {"state": RunState.FAILED, "message": "KFP knows no such run any more"}
            return run.model_copy(update=gone)
        if found.state not in (SUCCEEDED, *ENDED_BADLY):
            return run
        ended = RunState.SUCCEEDED if found.state == SUCCEEDED else RunState.FAILED
        message = found.message or f"KFP says {found.state}"
        return run.model_copy(update={"state": ended, "message": message})
