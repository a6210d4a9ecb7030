"""Which windows count as evidence about a release: those that share no predictions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from skyclass.monitoring.accuracy_job import ParentComparison, WindowAccuracy
from skyclass.monitoring.verdict import DriftVerdict, Verdict


class Interval(Protocol):
    """A document about a window with a known start."""

    @property
    def window_start(self) -> datetime:
        """Start of the window (UTC), included."""

    @property
    def window_end(self) -> datetime:
        """End of the window (UTC), excluded."""


W = TypeVar("W", bound=Interval)


def select_disjoint(windows: Sequence[W]) -> list[W]:
    """Return the newest windows that do not overlap, oldest first.

    Overlapping windows contain the same predictions, so only one of them counts as evidence: the
    one that ends last.

    Args:
        windows: Windows in order of their ends.
    """
    selected: list[W] = []
    for window in reversed(windows):
        if not selected or window.window_end <= selected[-1].window_start:
            selected.append(window)
    return selected[::-1]


def count_drifted(verdicts: Sequence[DriftVerdict], release: str, windows: int) -> tuple[int, int]:
    """Return how many of the newest windows of a release drifted, and how many there are.

    Args:
        verdicts: Verdicts, oldest window first.
        release: Id of the release.
        windows: Maximum number of windows to consider.
    """
    own = [verdict for verdict in verdicts if verdict.release == release]
    recent = select_disjoint(own)[-windows:]
    return sum(verdict.verdict is Verdict.DRIFT for verdict in recent), len(recent)


def pool_comparisons(
    accuracies: Sequence[WindowAccuracy], champion: str, parent: str | None
) -> ParentComparison | None:
    """Add up the comparisons of the champion with its parent; None if there is none.

    Of overlapping windows only the newest counts.
    """
    compared = [
        window
        for window in accuracies
        if window.release == champion and window.rivalry and window.rivalry.parent == parent
    ]
    found = [window.rivalry for window in select_disjoint(compared) if window.rivalry]
    if not found or parent is None:
        return None
    return ParentComparison(
        parent=parent,
        rows=sum(comparison.rows for comparison in found),
        only_release=sum(comparison.only_release for comparison in found),
        only_parent=sum(comparison.only_parent for comparison in found),
    )
