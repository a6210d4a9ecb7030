"""Wait until the pods of an InferenceService serve the release it names.

KServe's status does not show it: in Standard mode `Ready` stays true while new pods fail, as long
as old ones are ready; `observedGeneration` is the Deployment's; and `lastFailureInfo` is kept after
a failure ends. The pods and the predictor's metadata are read instead.
"""

import urllib3

from skyclass.errors import ClusterError, PromotionError
from skyclass.http import make_pool
from skyclass.polling import poll
from skyclass.promotion.cluster import Cluster
from skyclass.promotion.inference_service import InferenceService
from skyclass.promotion.pods import Pod, is_rolled_out

_POLL_SECONDS = 1.0
_REQUEST_SECONDS = 3.0
_MAX_FAILURES = 2
"""Failures of a container after which the rollout has failed; the first may be a temporary error
of the object store."""


class OvertakenError(PromotionError):
    """Another promotion changed the InferenceService in the meantime."""


class Rollouts:
    """Watches the pods of InferenceServices."""

    def __init__(self, cluster: Cluster, timeout_seconds: float) -> None:
        self._cluster = cluster
        self._timeout_seconds = timeout_seconds
        self._http = make_pool(connect_seconds=_REQUEST_SECONDS, read_seconds=_REQUEST_SECONDS)

    def get(self, name: str) -> InferenceService | None:
        """Return the InferenceService of a name, or None."""
        found = self._cluster.get_inference_service(name)
        return InferenceService(found) if found else None

    def is_complete(self, service: InferenceService) -> bool:
        """Return whether all pods run the current revision of the InferenceService."""
        return is_rolled_out(self._list_pods(service), service)

    def wait(self, service: InferenceService, release_id: str | None) -> None:
        """Wait until all pods of an InferenceService serve it as it was applied.

        Args:
            service: The InferenceService as it was applied.
            release_id: Version that the predictor must report; None skips the check.

        Raises:
            OvertakenError: Another promotion changed the InferenceService in the meantime.
            PromotionError: A container failed twice, or the wait timed out.
        """
        progress = ""

        def is_served() -> bool:
            nonlocal progress
            now = self.get(service.name)
            if now is None or now.identity != service.identity:
                raise OvertakenError(f"another promotion changed {service.name} in the meantime")
            pods = self._list_pods(service)
            for pod in pods:
                if pod.belongs_to(service) and pod.is_active and pod.failures >= _MAX_FAILURES:
                    raise PromotionError(f"{_describe(pod)}; InferenceService: {now.describe()}")
            if not (is_rolled_out(pods, service) and now.is_ready):
                progress = "; ".join(
                    _describe(pod) for pod in pods if pod.is_active and not pod.is_ready
                )
                progress = f"{progress or 'no new pod'}; InferenceService: {now.describe()}"
                return False
            if release_id is None:
                return True
            version = self._get_version(now)
            progress = f"the predictor reports version {version}"
            return version == release_id

        if not poll(is_served, self._timeout_seconds, _POLL_SECONDS):
            raise PromotionError(f"not served after {self._timeout_seconds:g} s: {progress}")

    def wait_deleted(self, service: InferenceService) -> None:
        """Wait until an InferenceService is deleted, or the wait times out."""

        def is_deleted() -> bool:
            now = self.get(service.name)
            return now is None or now.uid != service.uid

        poll(is_deleted, self._timeout_seconds, _POLL_SECONDS)

    def _list_pods(self, service: InferenceService) -> list[Pod]:
        return [Pod(body) for body in self._cluster.list_pods(service.name)]

    def _get_version(self, service: InferenceService) -> str:
        """Return the version that the predictor reports."""
        if service.address is None:
            return "none (it has no address yet)"
        path = f"/v2/models/{service.name}"
        try:
            response = self._http.request("GET", service.address + path)
            model = response.json()
        except (urllib3.exceptions.HTTPError, ValueError):
            # Service names resolve inside the cluster only; the API server can proxy the request.
            host = urllib3.util.parse_url(service.address).host or ""
            try:
                model = self._cluster.get_from_service(host.partition(".")[0], path)
            except ClusterError as error:
                return f"none ({service.address} is unreachable: {error})"
        versions = model.get("versions") or ["none"]
        return str(versions[0])


def _describe(pod: Pod) -> str:
    return f"pod {pod.name}: {pod.reason}"
