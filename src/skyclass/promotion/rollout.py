"""Waits until the pods of an InferenceService serve what it was told to.

KServe's own status does not say: in Standard mode `Ready` stays true while new pods fail, as long
as old ones answer; `observedGeneration` is the Deployment's; and `lastFailureInfo` outlives its
failure. So the pods are looked at, and the predictor is asked.
"""

import time
from collections.abc import Callable

import urllib3

from skyclass.errors import ClusterError, PromotionError
from skyclass.promotion.cluster import Cluster
from skyclass.promotion.inference_service import InferenceService
from skyclass.promotion.pods import Pod, settled

_POLL_SECONDS = 1.0
_ASK_SECONDS = 3.0
_FAILURES = 2
"""So often a container of a new pod may fail: once may be the object store's fault."""


class OvertakenError(PromotionError):
    """Another promotion has changed the InferenceService meanwhile."""


class Rollouts:
    """Watches the pods of InferenceServices."""

    def __init__(self, cluster: Cluster, seconds: float) -> None:
        """Watch in a cluster; what takes more than so many seconds has failed."""
        self._cluster = cluster
        self._seconds = seconds
        self._http = urllib3.PoolManager(retries=False, timeout=_ASK_SECONDS)

    def current(self, name: str) -> InferenceService | None:
        """The InferenceService of that name, if there is one."""
        found = self._cluster.inference_service(name)
        return InferenceService(found) if found else None

    def is_settled(self, service: InferenceService) -> bool:
        """Whether all pods serve what the InferenceService is now."""
        return settled(self._pods(service), service)

    def wait(self, service: InferenceService, release_id: str | None) -> None:
        """Wait until an InferenceService serves what it was told to.

        Args:
            service: As it was applied.
            release_id: What the predictor must name as its version; not asked when not known.

        Raises:
            OvertakenError: Another promotion has changed it meanwhile.
            PromotionError: A container failed twice, or time is up.
        """
        answer = ""

        def is_served() -> bool:
            nonlocal answer
            now = self.current(service.name)
            if now is None or now.identity != service.identity:
                raise OvertakenError(f"another promotion has changed {service.name} meanwhile")
            pods = self._pods(service)
            for pod in pods:
                if pod.belongs_to(service) and pod.counts and pod.failures >= _FAILURES:
                    raise PromotionError(f"{_tell(pod)}; InferenceService: {now.words()}")
            if not (settled(pods, service) and now.is_ready):
                answer = "; ".join(_tell(pod) for pod in pods if pod.counts and not pod.is_ready)
                answer = f"{answer or 'no new pod'}; InferenceService: {now.words()}"
                return False
            if release_id is None:
                return True
            version = self._version(now)
            answer = f"the predictor names version {version}"
            return version == release_id

        if not self._eventually(is_served):
            raise PromotionError(f"not served after {self._seconds:g} s: {answer}")

    def wait_deleted(self, service: InferenceService) -> None:
        """Wait until an InferenceService is gone, or time is up."""

        def is_gone() -> bool:
            now = self.current(service.name)
            return now is None or now.uid != service.uid

        self._eventually(is_gone)

    def _eventually(self, condition: Callable[[], bool]) -> bool:
        until = time.monotonic() + self._seconds
        while not condition():
            if time.monotonic() > until:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _pods(self, service: InferenceService) -> list[Pod]:
        return [Pod(manifest) for manifest in self._cluster.pods(service.name)]

    def _version(self, service: InferenceService) -> str:
        """What the predictor says that it serves."""
        if service.address is None:
            return "none, as it has no address yet"
        path = f"/v2/models/{service.name}"
        try:
            response = self._http.request("GET", service.address + path)
            model = response.json()
        except (urllib3.exceptions.HTTPError, ValueError):
            # Names of Services are known inside the cluster alone; the API server knows them too.
            host = urllib3.util.parse_url(service.address).host or ""
            try:
                model = self._cluster.ask_service(host.partition(".")[0], path)
            except ClusterError as error:
                return f"none, as it does not answer at {service.address} ({error})"
        versions = model.get("versions") or ["none"]
        return str(versions[0])


def _tell(pod: Pod) -> str:
    return f"pod {pod.name}: {pod.complaint}"
