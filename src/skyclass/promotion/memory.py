"""The memory that a release needs, compared with the limit of the predictor's container.

A container beyond its limit is killed without a message that names the release, possibly at the
first large request. A release that is known to need more is therefore not rolled out.
"""

from skyclass.errors import ClusterError, PromotionError
from skyclass.promotion.cluster import KubernetesObject
from skyclass.registry.releases import Release

PREDICTOR_BYTES = 192 << 20
"""Memory of a predictor without a model: 150 MiB after its largest request, and the rows that wait
for the prediction log between two writes; a full queue, as in an outage, needs more.
`tests/contract/test_memory.py` compares the sum with a process."""

_MEBIBYTE = 1 << 20


class MemoryLimitError(PromotionError):
    """A release needs more memory than a predictor may have."""


def compute_need(release: Release) -> int | None:
    """Return the memory of a predictor that serves a release (bytes), or None if it is unknown."""
    memory = release.manifest.memory
    return None if memory is None else PREDICTOR_BYTES + memory


def check_memory(release: Release, service: KubernetesObject) -> None:
    """Check that a release fits into the memory of the pods that would serve it.

    A release without the figure, as those of older versions, is not checked.

    Args:
        release: The release.
        service: The InferenceService that would serve it.

    Raises:
        ClusterError: The limit is malformed.
        MemoryLimitError: It needs more than the limit.
    """
    need, limit = compute_need(release), _find_limit(service)
    if need is not None and limit is not None and need > limit:
        raise MemoryLimitError(
            f"release {release.id[:12]}: needs {-(-need // _MEBIBYTE)} MiB of memory, the "
            f"predictor's limit is {limit // _MEBIBYTE} MiB: raise "
            "predictor.resources.limits.memory, or train with fewer candidates"
        )


def _find_limit(service: KubernetesObject) -> int | None:
    """Return the limit of the predictor's memory (bytes), or None if it has none."""
    from kubernetes.utils import parse_quantity

    limits = (service["spec"]["predictor"]["model"].get("resources") or {}).get("limits") or {}
    if (text := limits.get("memory")) is None:
        return None
    try:
        return int(parse_quantity(text))
    except ValueError as error:
        raise ClusterError(
            f"the memory limit of {service['metadata']['name']} is {text!r}: correct "
            "predictor.resources.limits.memory"
        ) from error
