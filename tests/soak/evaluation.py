"""Whether a soak has changed anything: its last tenth compared with its first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

TOLERANCE = 0.05
"""Share by which a figure of the last tenth may exceed that of the first."""

Series = Sequence[tuple[float, float]]
"""Times in seconds since the start of the measurement, and values."""


class NoSamplesError(Exception):
    """A tenth of the soak has no sample."""


@dataclass(frozen=True)
class Comparison:
    """A figure in the first and in the last tenth of a soak.

    Attributes:
        name: What was measured, such as `memory of the predictor`.
        unit: Its unit.
        first: Value in the first tenth.
        last: Value in the last tenth.
        has_target: Whether growth is a failure. The object store's memory grows with its data.
    """

    name: str
    unit: str
    first: float
    last: float
    has_target: bool = True

    @property
    def growth(self) -> float:
        """Growth as a share of the first value; negative if it fell."""
        return (self.last - self.first) / self.first if self.first else float(self.last > 0)

    @property
    def is_met(self) -> bool:
        """Whether the value grew by at most `TOLERANCE`, or may grow."""
        return not self.has_target or self.growth <= TOLERANCE

    def describe(self) -> str:
        """Return one line, such as `memory of the predictor: 250 MB, then 251 MB (+0.4 %)`."""
        values = f"{self.first:,.4g} {self.unit}, then {self.last:,.4g} {self.unit}"
        return f"{self.name}: {values} ({self.growth:+.1%})"


def compare_tenths(
    name: str,
    unit: str,
    series: Series,
    seconds: float,
    summarize: Callable[[Sequence[float]], float],
    has_target: bool = True,
) -> Comparison:
    """Compare the first and the last tenth of a series.

    Args:
        name: What was measured.
        unit: Its unit.
        series: Samples of the whole soak, in any order.
        seconds: Duration of the soak.
        summarize: Returns the figure of a tenth from its values, such as their median.
        has_target: Whether growth is a failure.

    Raises:
        NoSamplesError: A tenth has no sample.
    """
    first = [value for time, value in series if 0 <= time <= seconds / 10]
    last = [value for time, value in series if seconds * 0.9 <= time <= seconds]
    if not first or not last:
        raise NoSamplesError(f"{name}: no sample in the {'last' if first else 'first'} tenth")
    return Comparison(name, unit, summarize(first), summarize(last), has_target)


def list_misses(
    comparisons: Sequence[Comparison],
    failures: Sequence[str],
    injected: int,
) -> list[str]:
    """Return one line for each reason why a soak has failed; none if it has passed.

    Args:
        comparisons: All figures.
        failures: What failed outside of faults, was lost, or did not recover.
        injected: Number of faults that were injected.
    """
    grown = [f"grew: {each.describe()}" for each in comparisons if not each.is_met]
    return [*grown, *failures, *([] if injected else ["no fault was injected"])]
