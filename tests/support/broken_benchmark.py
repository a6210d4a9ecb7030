"""A benchmark that fails after its first figure."""

from collections.abc import Iterator

from benchmarks.figures import Figure
from tests.support.benchmark import FIGURES


def measure_figures() -> Iterator[Figure]:
    """Yield one figure and fail."""
    yield FIGURES[0]
    raise SystemExit("the peer did not start")
