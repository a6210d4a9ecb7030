"""The chart of docs/performance.md: one small panel for each figure with a history."""

from collections.abc import Sequence
from math import ceil

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Chart

from benchmarks.figures import TIMES, Figure, format_number
from benchmarks.history import ROOT, Run
from skyclass.training.reports.plots import ACCENT, MUTED, STYLE

CHART = ROOT / "docs/performance.svg"
_COLUMNS = 4
_LABELS = 4

Series = dict[str, Figure]
"""A figure in each revision that it was measured in, oldest first."""


def collect_series(runs: Sequence[Run], latest: Sequence[Run]) -> list[Series]:
    """Return the figures of the latest runs that were measured in more than one revision.

    Args:
        runs: All runs, oldest first.
        latest: The last run of each benchmark.
    """
    found: list[Series] = []
    for run in latest:
        for figure in run.figures:
            series = {
                earlier.revision: each
                for earlier in runs
                for each in earlier.figures
                if _identify(each) == _identify(figure)
            }
            if len(series) > 1:
                found.append(series)
    return found


def draw_history(series: Sequence[Series], revisions: Sequence[str]) -> Chart:
    """Draw each series in a panel of its own, from zero.

    Args:
        series: At least one.
        revisions: All revisions, oldest first: the horizontal axis of every panel.
    """
    rows = ceil(len(series) / _COLUMNS)
    with rc_context(STYLE):
        chart = Chart(figsize=(11, 1.9 * rows + 0.4), facecolor="white", layout="constrained")
        panels = chart.subplots(rows, _COLUMNS, squeeze=False).ravel()
        for axes, each in zip(panels, series, strict=False):
            _draw_series(axes, each, revisions)
        for axes in panels[len(series) :]:
            axes.axis("off")
        return chart


def _identify(figure: Figure) -> tuple[str, ...]:
    """Return what makes figures of different revisions comparable: ratios need no common unit."""
    return figure.topic, figure.name, figure.peer or figure.unit


def _draw_series(axes: Axes, series: Series, revisions: Sequence[str]) -> None:
    figures = list(series.values())
    last = figures[-1]
    values = [each.value if last.ratio is None else each.ratio or 0 for each in figures]
    positions = [revisions.index(revision) for revision in series]
    axes.plot(positions, values, color=ACCENT, lw=1.8, marker="o", ms=4)
    if last.target is not None:
        axes.axhline(last.target, color=MUTED, lw=1, ls=(0, (4, 3)))
    axes.set_ylim(0, 1.25 * max(*values, last.target or 0))
    unit = last.unit if last.ratio is None else TIMES
    axes.annotate(
        f"{format_number(values[-1])} {unit}", (positions[-1], values[-1]),
        xytext=(0, 5), textcoords="offset points", ha="right", fontsize=8, color=ACCENT,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},  # over a line that falls
    )  # fmt: skip
    axes.set_title(f"{last.topic}\n{last.name}", fontsize=8)
    step = ceil(len(revisions) / _LABELS)
    axes.set_xticks(range(len(revisions))[::-step], revisions[::-step])
    axes.tick_params(axis="x", labelsize=7, rotation=30)
    axes.tick_params(axis="y", labelsize=7)
