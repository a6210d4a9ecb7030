"""Charts as inline SVG: no script, no request, and the numbers stand beside them in a table.

What a line means is never said by colour alone: a drifted window is a filled diamond, the limit is
dashed, the estimate is dotted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from skyclass.survey.observation import CLASSES


@dataclass(frozen=True)
class Point:
    """A value of a window.

    Attributes:
        value: None where the window has none.
        marked: Whether it stands out.
        label: What a pointer resting on it reads.
    """

    value: float | None
    marked: bool = False
    label: str = ""


@dataclass(frozen=True)
class Line:
    """A line of a chart: its name, which is its CSS class too, and its points."""

    name: str
    points: Sequence[Point]


def score_chart(name: str, points: Sequence[Point], limit: float) -> Markup:
    """A column's distance from the reference over the windows, with the limit.

    Args:
        name: The column.
        points: One for each window, the oldest first.
        limit: From which on the column has drifted.
    """
    known = [point.value for point in points if point.value is not None]
    top = max([2 * limit, *known]) * 1.1
    width, height = 248, 84
    drifted = sum(point.marked for point in points)
    said = (
        f"{name}: distance from the reference over {len(known)} windows, the newest "
        f"{known[-1]:.2f}, limit {limit:.2f}, drifted in {drifted}"
        if known
        else f"{name}: no window has been compared"
    )
    at = height - height * limit / top
    frame = Markup(
        '<line class="limit" x1="0" x2="{w}" y1="{y:.1f}" y2="{y:.1f}"/>'
        '<line class="axis" x1="0" x2="{w}" y1="{h}" y2="{h}"/>'
    ).format(w=width, y=at, h=height)
    body = _line(Line("score", points), width, height, 0.0, top)
    return _svg(said, width, height, frame + body)


def accuracy_chart(lines: Sequence[Line], labels: Sequence[str]) -> Markup:
    """Accuracy over the windows: what was measured, and what was estimated.

    Args:
        lines: Each with one point for each window, the oldest first.
        labels: What each window is called; some of them stand below the chart.
    """
    known = [point.value for line in lines for point in line.points if point.value is not None]
    bottom = max(0.0, int((min(known, default=0.9) - 0.02) * 20) / 20)
    width, height, left = 860, 220, 48
    inner = width - left - 10
    frame = Markup()
    steps = 5 if 1 - bottom > 0.12 else round((1 - bottom) / 0.02)
    for number in range(steps + 1):
        value = bottom + (1 - bottom) * number / steps
        y = height - height * number / steps
        frame += Markup(
            '<line class="grid" x1="{l}" x2="{w}" y1="{y:.1f}" y2="{y:.1f}"/>'
            '<text class="tick" x="{t}" y="{ty:.1f}" text-anchor="end">{value:.0%}</text>'
        ).format(l=left, w=width, y=y, t=left - 8, ty=y + 4, value=value)
    step = max(1, len(labels) // 8)
    for number in range(0, len(labels), step):
        frame += Markup(
            '<text class="tick" x="{x:.1f}" y="{y}" text-anchor="middle">{text}</text>'
        ).format(x=left + _x(number, len(labels), inner), y=height + 20, text=labels[number])
    body = Markup().join(_line(line, inner, height, bottom, 1.0, left) for line in lines)
    newest = [
        f"{line.name} {known[-1]:.1%}"
        for line in lines
        if (known := [point.value for point in line.points if point.value is not None])
    ]
    said = f"Accuracy over {len(labels)} windows; the newest: {', '.join(newest) or 'not known'}"
    return _svg(said, width, height + 28, frame + body)


def shares_bar(name: str, shares: dict[str, float]) -> Markup:
    """The shares of the classes as one bar."""
    width, height = 520, 22
    said = ", ".join(f"{each} {shares[each]:.1%}" for each in CLASSES if each in shares)
    body, x = Markup(), 0.0
    for each in CLASSES:
        share = shares.get(each, 0.0)
        body += Markup(
            '<rect class="class-{name}" x="{x:.1f}" y="0" width="{w:.1f}" height="{h}"/>'
        ).format(name=each, x=x, w=max(0.0, share * width - 2), h=height)
        if share > 0.12:  # else the name would not fit
            body += Markup(
                '<text class="in-bar" x="{x:.1f}" y="15.5">{name} {share:.0%}</text>'
            ).format(x=x + 8, name=each, share=share)
        x += share * width
    return _svg(f"{name}: {said or 'no rows'}", width, height, body)


def _line(
    line: Line, width: float, height: float, bottom: float, top: float, left: float = 0.0
) -> Markup:
    """The line, broken where windows have no value, and its points."""
    places = [
        None
        if point.value is None
        else (
            left + _x(number, len(line.points), width),
            height - height * (point.value - bottom) / (top - bottom),
        )
        for number, point in enumerate(line.points)
    ]
    drawn, run = Markup(), []
    for place in [*places, None]:
        if place is not None:
            run.append(place)
        elif run:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in run)
            drawn += Markup('<polyline class="line {name}" points="{path}"/>').format(
                name=line.name, path=path
            )
            run = []
    for place, point in zip(places, line.points, strict=True):
        if place is None:
            continue
        x, y = place
        shape = (
            Markup('<path class="mark" d="M{x:.1f} {a:.1f}l5 5l-5 5l-5 -5z">').format(x=x, a=y - 5)
            if point.marked
            else Markup('<circle class="dot {name}" cx="{x:.1f}" cy="{y:.1f}" r="2.6">').format(
                name=line.name, x=x, y=y
            )
        )
        end = Markup("</path>") if point.marked else Markup("</circle>")
        drawn += shape + Markup("<title>{}</title>").format(point.label) + end
    return drawn


def _x(number: int, count: int, width: float) -> float:
    """Where a window is drawn; a margin keeps the outermost points whole."""
    margin = 7.0
    if count == 1:
        return width / 2
    return margin + (width - 2 * margin) * number / (count - 1)


def _svg(said: str, width: float, height: float, body: Markup) -> Markup:
    return Markup(
        '<svg class="chart" role="img" viewBox="0 -7 {w} {h}" aria-label="{said}">{body}</svg>'
    ).format(w=width, h=height + 14, said=said, body=body)
