"""The pods of an InferenceService: which release each has, whether it answers, why it does not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from skyclass.promotion.cluster import Manifest
from skyclass.promotion.inference_service import REVISION, SOURCE, InferenceService, one_line

_LONGEST_MESSAGE = 500
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Pod:
    """A pod as the API server has it."""

    manifest: Manifest

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def counts(self) -> bool:
        """Whether it is there to answer, now or soon; not when it has ended, or is about to."""
        ended = self._status.get("phase") in _ENDED
        return not ended and "deletionTimestamp" not in self.manifest["metadata"]

    @property
    def is_ready(self) -> bool:
        """Whether requests are sent to it."""
        return self._condition("Ready").get("status") == "True"

    def belongs_to(self, service: InferenceService) -> bool:
        """Whether it was started for what the InferenceService is now."""
        annotations = self.manifest["metadata"].get("annotations") or {}
        return (annotations.get(SOURCE), annotations.get(REVISION)) == (
            service.storage_uri,
            service.annotations.get(REVISION),
        )

    @property
    def failures(self) -> int:
        """How often the container that failed most has failed."""
        return max((_failures(each) for each in self._containers()), default=0)

    @property
    def complaint(self) -> str:
        """Why it is not ready, in its containers' own words where they left any."""
        for container in self._containers():
            if _failures(container):
                ended = _terminated(container)
                last = _last_line(ended.get("message") or "")
                status = f"{container['name']} ended with status {ended.get('exitCode')}"
                return f"{status}: {last}" if last else status
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("message"):
                return f"{waiting.get('reason')}: {one_line(waiting['message'])}"
        scheduled = self._condition("PodScheduled")
        if scheduled.get("status") == "False":
            return one_line(scheduled.get("message", "it has no node"))
        return "it has started and is not ready yet"

    @property
    def _status(self) -> Manifest:
        return self.manifest.get("status") or {}

    def _condition(self, kind: str) -> Manifest:
        conditions = self._status.get("conditions") or []
        return next((each for each in conditions if each["type"] == kind), {})

    def _containers(self) -> Iterator[Manifest]:
        for kind in ("initContainerStatuses", "containerStatuses"):
            yield from self._status.get(kind) or []


def settled(pods: Sequence[Pod], service: InferenceService) -> bool:
    """Whether all that answers, and something does, is what the InferenceService is now."""
    counted = [pod for pod in pods if pod.counts]
    return bool(counted) and all(pod.is_ready and pod.belongs_to(service) for pod in counted)


def _failures(container: Manifest) -> int:
    down = (container.get("state") or {}).get("running") is None
    return int(container.get("restartCount", 0)) + (1 if down and _exit_code(container) else 0)


def _exit_code(container: Manifest) -> int:
    return int(_terminated(container).get("exitCode", 0))


def _terminated(container: Manifest) -> Any:
    """How the container ended last."""
    for state in ("state", "lastState"):
        if found := (container.get(state) or {}).get("terminated"):
            return found
    return {}


def _last_line(message: str) -> str:
    """The last line of a log says most: a traceback ends with the error."""
    lines = [line for line in message.splitlines() if line.strip()]
    return one_line(lines[-1])[:_LONGEST_MESSAGE] if lines else ""
