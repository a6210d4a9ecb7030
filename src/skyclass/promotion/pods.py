"""The pods of an InferenceService: which revision each runs, and why it is not ready."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from skyclass.errors import one_line
from skyclass.promotion.cluster import KubernetesObject
from skyclass.promotion.inference_service import REVISION, SOURCE, InferenceService

_MAX_CHARACTERS = 500
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Pod:
    """A pod as the API server returned it.

    Attributes:
        body: The whole object.
    """

    body: KubernetesObject

    @property
    def name(self) -> str:
        """Name of the object."""
        return str(self.body["metadata"]["name"])

    @property
    def is_active(self) -> bool:
        """Whether it serves or will serve: it neither ended nor is being deleted."""
        ended = self._status.get("phase") in _ENDED
        return not ended and "deletionTimestamp" not in self.body["metadata"]

    @property
    def is_ready(self) -> bool:
        """Whether it receives requests."""
        return self._get_condition("Ready").get("status") == "True"

    def belongs_to(self, service: InferenceService) -> bool:
        """Return whether it runs the current revision of the InferenceService."""
        annotations = self.body["metadata"].get("annotations") or {}
        return (annotations.get(SOURCE), annotations.get(REVISION)) == (
            service.storage_uri,
            service.annotations.get(REVISION),
        )

    @property
    def failures(self) -> int:
        """Failures of the container that failed most often."""
        return max((_count_failures(each) for each in self._list_containers()), default=0)

    @property
    def reason(self) -> str:
        """Why it is not ready: the last message of a container if there is one."""
        for container in self._list_containers():
            if _count_failures(container):
                ended = _get_termination(container)
                last = _get_last_line(ended.get("message") or "")
                status = f"{container['name']} ended with status {ended.get('exitCode')}"
                return f"{status}: {last}" if last else status
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("message"):
                return f"{waiting.get('reason')}: {one_line(waiting['message'], _MAX_CHARACTERS)}"
        scheduled = self._get_condition("PodScheduled")
        if scheduled.get("status") == "False":
            return one_line(scheduled.get("message", "not scheduled to a node"))
        return "started, not ready yet"

    @property
    def _status(self) -> KubernetesObject:
        return self.body.get("status") or {}

    def _get_condition(self, kind: str) -> KubernetesObject:
        conditions = self._status.get("conditions") or []
        return next((each for each in conditions if each["type"] == kind), {})

    def _list_containers(self) -> Iterator[KubernetesObject]:
        for kind in ("initContainerStatuses", "containerStatuses"):
            yield from self._status.get(kind) or []


def is_rolled_out(pods: Sequence[Pod], service: InferenceService) -> bool:
    """Return whether all active pods, at least one, are ready and run the current revision."""
    active = [pod for pod in pods if pod.is_active]
    return bool(active) and all(pod.is_ready and pod.belongs_to(service) for pod in active)


def _count_failures(container: KubernetesObject) -> int:
    down = (container.get("state") or {}).get("running") is None
    return int(container.get("restartCount", 0)) + (1 if down and _get_exit_code(container) else 0)


def _get_exit_code(container: KubernetesObject) -> int:
    return int(_get_termination(container).get("exitCode", 0))


def _get_termination(container: KubernetesObject) -> Any:
    """Return the last termination of a container."""
    for state in ("state", "lastState"):
        if found := (container.get(state) or {}).get("terminated"):
            return found
    return {}


def _get_last_line(message: str) -> str:
    """Return the last line of a log, where a traceback has the error."""
    lines = [line for line in message.splitlines() if line.strip()]
    return one_line(lines[-1], _MAX_CHARACTERS) if lines else ""
