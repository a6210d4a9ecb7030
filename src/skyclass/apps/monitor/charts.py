"""Charts as inline SVG, styled by the page's CSS.

Matplotlib is not used here: its SVG has inline styles, which the Content-Security-Policy forbids
and a dark colour scheme cannot change. No meaning depends on colour alone: a drifted window is a
filled diamond, the threshold is dashed, the estimate is dotted; the label of a chart has its
numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from skyclass.survey.observation import CLASSES

_MARGIN = 7.0
"""Space for the marker of an outermost point."""
_DIAMOND = Markup(
    '<path class="mark" d="M{x:.1f} {top:.1f}l5 5l-5 5l-5 -5z"><title>{text}</title></path>'
)
_DOT = Markup(
    '<circle class="dot {name}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"><title>{text}</title></circle>'
)
_MIN_NAMED_SHARE = 0.12
"""Smallest share of a bar in which its class name fits."""


@dataclass(frozen=True)
class Point:
    """The value of one window.

    Attributes:
        value: The value; None if the window has none.
        is_marked: Whether to draw a diamond instead of a dot.
        tooltip: Text shown on hovering.
    """

    value: float | None
    is_marked: bool = False
    tooltip: str = ""


@dataclass(frozen=True)
class Line:
    """A line with one point per window, oldest first.

    Attributes:
        name: Name in the label of the chart, and CSS class.
        points: The points.
        intervals: Lower and upper end of the interval of each point, where there is one.
    """

    name: str
    points: Sequence[Point]
    intervals: Sequence[tuple[float, float] | None] = ()

    @property
    def values(self) -> list[float]:
        """The known values."""
        return [point.value for point in self.points if point.value is not None]


@dataclass(frozen=True)
class _Area:
    """Position and value range of the plotting area."""

    left: float
    width: float
    height: float
    low: float
    high: float

    def x(self, index: int, count: int) -> float:
        if count == 1:
            return self.left + self.width / 2
        return self.left + _MARGIN + (self.width - 2 * _MARGIN) * index / (count - 1)

    def y(self, value: float) -> float:
        return self.height - self.height * (value - self.low) / (self.high - self.low)


def draw_distances(name: str, points: Sequence[Point], threshold: float) -> Markup:
    """Draw the distance of a column from the reference over the windows.

    Args:
        name: Name of the column.
        points: One per window, oldest first.
        threshold: Distance at which the column drifts.
    """
    line = Line("score", points)
    area = _Area(0, 248, 84, 0, 1.1 * max([2 * threshold, *line.values]))
    label = f"{name}: no window has been compared"
    if line.values:
        label = (
            f"{name}: distance from the reference over {len(line.values)} windows, newest "
            f"{line.values[-1]:.2f}, threshold {threshold:.2f}, drifted in "
            f"{sum(point.is_marked for point in points)}"
        )
    frame = Markup(
        '<line class="limit" x1="0" x2="{w}" y1="{y:.1f}" y2="{y:.1f}"/>'
        '<line class="axis" x1="0" x2="{w}" y1="{h}" y2="{h}"/>'
    ).format(w=area.width, y=area.y(threshold), h=area.height)
    return _make_svg(label, area.width, area.height, frame + _draw_line(line, area))


def draw_accuracy(
    lines: Sequence[Line],
    window_labels: Sequence[str],
    title: str = "Accuracy",
    limit: float | None = None,
) -> Markup:
    """Draw accuracies, or other shares near 1, over the windows.

    Args:
        lines: Measured and estimated accuracy.
        window_labels: Label of each window; about eight of them are drawn below the chart.
        title: What is drawn, in the label of the chart.
        limit: A share to draw a dashed line at.
    """
    ends = [end for line in lines for interval in line.intervals for end in interval or ()]
    values = [value for line in lines for value in line.values]
    lowest = min([*ends, *values, *([] if limit is None else [limit])], default=0.9)
    low = max(0.0, int((lowest - 0.02) * 20) / 20)
    area = _Area(48, 802, 220, low, 1)
    right = area.left + area.width + 10
    frame = Markup()
    steps = 5 if 1 - low > 0.12 else round((1 - low) / 0.02)
    for step in range(steps + 1):
        value = low + (1 - low) * step / steps
        frame += Markup(
            '<line class="grid" x1="{x}" x2="{w}" y1="{y:.1f}" y2="{y:.1f}"/>'
            '<text class="tick" x="{tx}" y="{ty:.1f}" text-anchor="end">{value:.0%}</text>'
        ).format(
            x=area.left, w=right, y=area.y(value), tx=area.left - 8, ty=area.y(value) + 4,
            value=value,
        )  # fmt: skip
    if limit is not None:
        frame += Markup('<line class="limit" x1="{x}" x2="{w}" y1="{y:.1f}" y2="{y:.1f}"/>').format(
            x=area.left, w=right, y=area.y(limit)
        )
    count = len(window_labels)
    for index in range(0, count, max(1, count // 8)):
        frame += Markup(
            '<text class="tick" x="{x:.1f}" y="{y}" text-anchor="middle">{text}</text>'
        ).format(x=area.x(index, count), y=area.height + 20, text=window_labels[index])
    newest = ", ".join(f"{line.name} {line.values[-1]:.1%}" for line in lines if line.values)
    label = f"{title} over {count} windows; newest: {newest or 'unknown'}"
    body = Markup().join(_draw_intervals(line, area) for line in lines)
    body += Markup().join(_draw_line(line, area) for line in lines)
    return _make_svg(label, right, area.height + 28, frame + body)


def draw_class_shares(name: str, shares: dict[str, float]) -> Markup:
    """Draw the shares of the classes as one bar."""
    width, height = 520, 22
    text = ", ".join(f"{each} {shares[each]:.1%}" for each in CLASSES if each in shares)
    body, x = Markup(), 0.0
    for each in CLASSES:
        share = shares.get(each, 0.0)
        body += Markup(
            '<rect class="class-{name}" x="{x:.1f}" y="0" width="{w:.1f}" height="{h}"/>'
        ).format(name=each, x=x, w=max(0.0, share * width - 2), h=height)
        if share > _MIN_NAMED_SHARE:
            body += Markup(
                '<text class="in-bar" x="{x:.1f}" y="15.5">{name} {share:.0%}</text>'
            ).format(x=x + 8, name=each, share=share)
        x += share * width
    return _make_svg(f"{name}: {text or 'no rows'}", width, height, body)


def _draw_line(line: Line, area: _Area) -> Markup:
    """Draw the points of a line, connected except across windows without a value."""
    segments: list[list[str]] = [[]]
    markers = Markup()
    for index, point in enumerate(line.points):
        if point.value is None:
            segments.append([])
            continue
        x, y = area.x(index, len(line.points)), area.y(point.value)
        segments[-1].append(f"{x:.1f},{y:.1f}")
        marker = _DIAMOND if point.is_marked else _DOT
        markers += marker.format(x=x, y=y, top=y - 5, name=line.name, text=point.tooltip)
    lines = Markup().join(
        Markup('<polyline class="line {name}" points="{points}"/>').format(
            name=line.name, points=" ".join(segment)
        )
        for segment in segments
        if segment
    )
    return lines + markers


def _draw_intervals(line: Line, area: _Area) -> Markup:
    bars = Markup()
    for index, interval in enumerate(line.intervals):
        if interval is None:
            continue
        bars += Markup(
            '<line class="interval {name}" x1="{x:.1f}" x2="{x:.1f}"'
            ' y1="{low:.1f}" y2="{high:.1f}"/>'
        ).format(
            name=line.name, x=area.x(index, len(line.intervals)), low=area.y(interval[0]),
            high=area.y(interval[1]),
        )  # fmt: skip
    return bars


def _make_svg(label: str, width: float, height: float, body: Markup) -> Markup:
    return Markup(
        '<svg class="chart" role="img" viewBox="0 -7 {w} {h}" aria-label="{label}">{body}</svg>'
    ).format(w=width, h=height + 14, label=label, body=body)
