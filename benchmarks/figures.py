"""What a benchmark measures: figures, each beside that of a named peer."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measured figure.

    Attributes:
        topic: Chapter of docs/performance.md, such as `Serving`.
        name: What was measured, such as `1,000 rows, one client`; unique in its topic.
        value: The figure of skyclass.
        unit: Its unit, such as `ms of CPU`.
        peer: What it is compared with, measured in the same run; empty if there is no peer.
        ratio: How many times as good as the peer, above 1 is better; None without a peer.
        target: The least ratio, or the largest value if there is no peer, that we want; None if
            none was set.
    """

    topic: str
    name: str
    value: float
    unit: str
    peer: str = ""
    ratio: float | None = None
    target: float | None = None


Benchmark = Callable[[], Iterator[Figure]]
"""Measures the figures of a topic; `measure_figures` in each module of a benchmark."""
