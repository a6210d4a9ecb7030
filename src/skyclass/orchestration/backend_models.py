"""Objects of a KFP backend: runs with the nodes of their graph, and recurring runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import kfp_server_api as api

from skyclass.orchestration.backend_errors import shorten_message


@dataclass(frozen=True)
class Task:
    """A node of a run's graph: a step, its driver, or the pod with its code.

    Attributes:
        name: Display name, such as `train` or `executor`.
        state: KFP's state, such as RUNNING or SUCCEEDED.
        pod: Name of its pod; empty if KFP does not report it.
        children: Ids of the nodes that follow it.
    """

    name: str
    state: str
    pod: str
    children: tuple[str, ...]

    @classmethod
    def from_response(cls, task: api.V2beta1PipelineTaskDetail) -> "Task":
        """Read a node of KFP's response."""
        children = tuple(str(child.pod_name) for child in task.child_tasks or ())
        return cls(str(task.display_name), str(task.state), task.pod_name or "", children)


@dataclass(frozen=True)
class RunStatus:
    """State of a run.

    Attributes:
        state: KFP's state, such as RUNNING or SUCCEEDED.
        tasks: Nodes of its graph.
        message: KFP's error message; empty if there is none.
    """

    state: str
    tasks: tuple[Task, ...]
    message: str

    @classmethod
    def from_response(cls, run: api.V2beta1Run) -> "RunStatus":
        """Read a run of KFP's response."""
        details = (run.run_details and run.run_details.task_details) or ()
        message = shorten_message(run.error.message) if run.error and run.error.message else ""
        return cls(run.state or "PENDING", tuple(map(Task.from_response, details)), message)

    @property
    def failed(self) -> frozenset[str]:
        """Names of the nodes that failed."""
        return frozenset(task.name for task in self.tasks if task.state == "FAILED")


@dataclass(frozen=True)
class Schedule:
    """A recurring run.

    Attributes:
        id: Its id.
        name: Display name.
        parameters: Arguments of its runs; the others keep their defaults.
    """

    id: str
    name: str
    parameters: Mapping[str, Any]

    @classmethod
    def from_response(cls, found: api.V2beta1RecurringRun) -> "Schedule":
        """Read a recurring run of KFP's response."""
        parameters = (found.runtime_config and found.runtime_config.parameters) or {}
        return cls(str(found.recurring_run_id), str(found.display_name), parameters)
