"""The logs of a run's steps on a KFP backend: the outcome of the run, or why a step failed."""

import re
from dataclasses import dataclass

from skyclass.logs import find_error
from skyclass.orchestration.backend import Backend
from skyclass.orchestration.backend_errors import BackendError
from skyclass.orchestration.backend_models import RunStatus
from skyclass.orchestration.package import TRAINING, load_package
from skyclass.training.outcome import RunOutcome, find_outcome

_EXECUTOR = re.compile(r"executor(\(\d+\))?")
"""Name of the Argo nodes that run a step's code; with a number, one attempt of several."""

_LAST_STEP = "publish"


@dataclass(frozen=True)
class Failure:
    """Why a run did not succeed.

    Attributes:
        step: The failed step; None if no step failed, as in a cancelled run.
        error: The error of the step; None if its log is not available.
    """

    step: str | None
    error: str | None


def read_outcome(backend: Backend, run_id: str, run: RunStatus) -> RunOutcome | None:
    """Return the outcome of a run that succeeded, or None if its log is not available."""
    logs = _read_logs(backend, run_id, run, _LAST_STEP)
    return next(filter(None, map(find_outcome, logs)), None)


def find_failure(backend: Backend, run_id: str, run: RunStatus) -> Failure:
    """Find out why a run did not succeed, from the log of its failed step if that is available."""
    steps = (name for tasks in load_package(TRAINING).task_graphs for name in tasks)
    failed = next((step for step in steps if step in run.failed), None)
    logs = _read_logs(backend, run_id, run, failed) if failed else []
    return Failure(failed, next(filter(None, map(find_error, logs)), None))


def find_pods(run: RunStatus, step: str) -> list[str]:
    """Return the pods that ran the code of a step, the last attempt first.

    KFP reports the nodes of Argo's graph. Each names its children by the ids of their nodes, which
    end with the same number as the names of their pods.
    """
    by_number = {_get_number(task.pod): task for task in run.tasks if task.pod}
    pods: list[str] = []
    parents = [task for task in run.tasks if task.name == step]
    while parents:
        for child in parents.pop(0).children:
            task = by_number.get(_get_number(child))
            if task and _EXECUTOR.fullmatch(task.name) and task.pod not in pods:
                pods.append(task.pod)
                parents.append(task)
    return pods[::-1]


def _get_number(node: str) -> str:
    return node.rpartition("-")[2]


def _read_logs(backend: Backend, run_id: str, run: RunStatus, step: str) -> list[str]:
    """Return the logs of a step's pods that the backend still has."""
    logs = []
    for pod in find_pods(run, step):
        try:
            logs.append(backend.read_log(run_id, pod))
        except BackendError:
            continue
    return logs
