"""Prometheus metrics of prediction requests."""

from prometheus_client import REGISTRY, Histogram, exposition

_SECONDS = Histogram(
    "skyclass_request_seconds",
    "Duration of prediction requests, by protocol and class of HTTP status.",
    ["model_name", "protocol", "status"],
    buckets=(
        *(0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05),
        *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    ),
)


class RequestMetrics:
    """Metrics of the requests to one model over one protocol: v1, v2 or grpc."""

    def __init__(self, model_name: str, protocol: str) -> None:
        self._by_status = {
            status: _SECONDS.labels(model_name, protocol, f"{status}xx") for status in (2, 4, 5)
        }

    def observe(self, status: int, seconds: float) -> None:
        """Record a request.

        Args:
            status: HTTP status, or the one that the gRPC code corresponds to.
            seconds: Duration.
        """
        self._by_status[status // 100].observe(seconds)


def write_metrics(accept: str) -> tuple[bytes, str]:
    """Encode all metrics of the process.

    Args:
        accept: The request's Accept header.

    Returns:
        The body and its content type.
    """
    encode, content_type = exposition.choose_encoder(accept)
    return encode(REGISTRY), content_type
