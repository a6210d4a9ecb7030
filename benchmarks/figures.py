"""What a benchmark measures: figures, each beside that of a named peer."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

TIMES = "\N{MULTIPLICATION SIGN}"


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

    @property
    def is_met(self) -> bool | None:
        """Whether the target is reached; None if none was set."""
        if self.target is None:
            return None
        return self.value <= self.target if self.ratio is None else self.ratio >= self.target

    def describe_value(self) -> str:
        """Return the value and its unit, such as `4.1 ms of CPU`."""
        return f"{format_number(self.value)} {self.unit}"

    def describe_ratio(self) -> str:
        """Return the ratio and the peer, such as 2.1 times scikit-learn; empty without a peer."""
        return "" if self.ratio is None else f"{format_number(self.ratio)} {TIMES} {self.peer}"

    def describe_target(self) -> str:
        """Return the limit of the ratio or of the value; empty if none was set."""
        if self.target is None:
            return ""
        target = format_number(self.target)
        return f"≤ {target} {self.unit}" if self.ratio is None else f"≥ {target} {TIMES}"

    def describe_outcome(self) -> str:
        """Return `met` or `missed`; empty if no target was set."""
        return {True: "met", False: "missed", None: ""}[self.is_met]


Benchmark = Callable[[], Iterator[Figure]]
"""Measures the figures of a topic; `measure_figures` in each module of a benchmark."""


def format_number(number: float) -> str:
    """Return a number with three significant digits, or as a whole number from 100."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def print_figure(figure: Figure) -> None:
    """Print a figure on one line as soon as it is measured."""
    cells = (
        figure.describe_value(), figure.describe_ratio(), figure.describe_target(),
        figure.describe_outcome(),
    )  # fmt: skip
    line = "".join(f"{cell:<28}" for cell in cells)
    sys.stdout.write(f"{figure.topic}: {figure.name:<36}  {line.rstrip()}\n")
    sys.stdout.flush()
