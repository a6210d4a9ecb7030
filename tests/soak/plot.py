"""The chart of a soak: memory, open files and latency of each minute."""

from collections.abc import Callable

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.history import ROOT
from skyclass.training.reports.plots import ACCENT, MUTED, STYLE
from tests.soak.record import Minute, Record
from tests.soak.system import PAGE, STEADY

CHART = ROOT / "docs/soak.svg"


def draw_soak(record: Record) -> Figure:
    """Draw the figures of each minute, from zero, with the first and the last tenth shaded."""
    with rc_context(STYLE):
        chart = Figure(figsize=(11, 3), facecolor="white", layout="constrained")
        memory, files, latency = chart.subplots(1, 3)
        for axes, title, unit, attribute in (
            (memory, "Resident memory", "MB", "memory"),
            (files, "Open files and sockets", "", "files"),
        ):
            _draw(axes, record, STEADY, lambda minute, at=attribute: getattr(minute, at)[STEADY])
            _draw(axes, record, PAGE, lambda minute, at=attribute: getattr(minute, at)[PAGE], MUTED)
            _finish(axes, record, title, unit)
        _draw(latency, record, "p50", lambda minute: minute.p50)
        _draw(latency, record, "p99", lambda minute: minute.p99, MUTED)
        _finish(latency, record, "Latency of the predictor", "ms")
        return chart


def _draw(
    axes: Axes, record: Record, label: str, value: Callable[[Minute], float], color: str = ACCENT
) -> None:
    minutes = [minute.number + 0.5 for minute in record.minutes]
    values = [value(minute) for minute in record.minutes]
    axes.plot(minutes, values, color=color, lw=1.8, label=label)


def _finish(axes: Axes, record: Record, title: str, unit: str) -> None:
    minutes = record.schedule.seconds / 60
    for first in (0, 0.9 * minutes):
        axes.axvspan(first, first + minutes / 10, color=MUTED, alpha=0.12, lw=0)
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, minutes)
    axes.set_title(f"{title} ({unit})" if unit else title)
    axes.set_xlabel("minutes")
    axes.legend(frameon=False, loc="best")
