"""What Prometheus is told about requests: how many, how they ended, and how long they took."""

from prometheus_client import REGISTRY, Histogram, exposition

_SECONDS = Histogram(
    "skyclass_request_seconds",
    "Time from a prediction request to its answer, by protocol and class of HTTP status.",
    ["model_name", "protocol", "status"],
    buckets=(
        *(0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05),
        *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    ),
)


class RequestCounts:
    """Counts the requests to one model by one protocol."""

    def __init__(self, model_name: str, protocol: str) -> None:
        """Begin to count.

        Args:
            model_name: The model's name.
            protocol: v1, v2 or grpc.
        """
        self._by_status = {
            status: _SECONDS.labels(model_name, protocol, f"{status}xx") for status in (2, 4, 5)
        }

    def add(self, status: int, seconds: float) -> None:
        """Count an answered request.

        Args:
            status: Its HTTP status, or the one that its gRPC status stands for.
            seconds: How long it took.
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
