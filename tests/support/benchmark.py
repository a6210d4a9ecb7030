"""A benchmark that measures two figures."""

from collections.abc import Iterator

from benchmarks.figures import Figure

FIGURES = (
    Figure("Toys", "one row", 2, "ms", "a slower toy", 3),
    Figure("Toys", "memory", 10, "MB", target=20),
)


def measure_figures() -> Iterator[Figure]:
    """Yield the figures."""
    yield from FIGURES
