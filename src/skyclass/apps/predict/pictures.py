"""A picture of each class, drawn by the project: the same strokes each time."""

import math
import random
from collections.abc import Callable, Mapping

_SIZE = 260
_MIDDLE = _SIZE / 2
_SEED = 7

_WORDS = {
    "GALAXY": "Drawing of a spiral galaxy",
    "QSO": "Drawing of a quasar: a bright core with a disc and two jets",
    "STAR": "Drawing of a bright star",
}


def picture(name: str) -> str:
    """The picture of a class as an SVG element.

    Args:
        name: One of `CLASSES`.
    """
    draw = random.Random(f"{_SEED} {name}")  # noqa: S311 - it places dots
    return (
        f'<svg role="img" aria-label="{_WORDS[name]}" viewBox="0 0 {_SIZE} {_SIZE}" '
        f'xmlns="http://www.w3.org/2000/svg"><defs>{_glow(name)}</defs>'
        f'<rect width="{_SIZE}" height="{_SIZE}" rx="18" fill="#0b1026"/>'
        f"{_field(draw)}{_DRAWN[name](draw)}</svg>"
    )


def _galaxy(draw: random.Random) -> str:
    """Two arms of a logarithmic spiral, seen at a slant."""
    dots = []
    for arm in (0.0, math.pi):
        for _ in range(230):
            along = draw.random() ** 0.8
            angle = arm + 0.4 + along * 4.1 + draw.gauss(0, 0.16)
            distance = 9 + 102 * along + draw.gauss(0, 3.5)
            colour = draw.choice(("#bcd2ff", "#e7efff", "#9fbcff", "#ffd9ec"))
            size, light = draw.uniform(0.5, 2.1), 0.35 + 0.6 * (1 - along)
            dots.append(
                _dot(distance * math.cos(angle), distance * math.sin(angle), size, colour, light)
            )
    core = '<ellipse rx="58" ry="58" fill="url(#GALAXY-glow)"/>'
    slant = f'transform="translate({_MIDDLE} {_MIDDLE}) rotate(-24) scale(1 0.52)"'
    return f'<g {slant}><circle r="104" fill="url(#GALAXY-haze)"/>{"".join(dots)}{core}</g>'


def _quasar(draw: random.Random) -> str:
    """A core that outshines its galaxy, a disc around it, and two jets."""
    jets = []
    for way in (1, -1):
        for _ in range(90):
            along = draw.random()
            spread = draw.gauss(0, 1.2 + 7 * along)
            light = 0.75 * (1 - along)
            jets.append(
                _dot(spread, way * (14 + 96 * along), draw.uniform(0.6, 2.2), "#a9c8ff", light)
            )
    disc = "".join(
        f'<ellipse rx="{62 - 9 * ring}" ry="{15 - 2.2 * ring:.1f}" fill="none" '
        f'stroke="#ffb870" stroke-opacity="{0.25 + 0.13 * ring:.2f}" '
        f'stroke-width="{3 - 0.3 * ring:.1f}"/>'
        for ring in range(6)
    )
    core = '<circle r="46" fill="url(#QSO-glow)"/><circle r="7" fill="#fff"/>'
    return (
        f'<g transform="translate({_MIDDLE} {_MIDDLE}) rotate(28)">{"".join(jets)}{disc}{core}</g>'
    )


def _star(draw: random.Random) -> str:
    """A point of light with the spikes that a telescope's spider gives it."""
    spikes = "".join(
        f'<path d="M0 -{length}L2.4 0L0 {length}L-2.4 0Z" fill="#fff6dd" '
        f'fill-opacity="{light}" transform="rotate({turn})"/>'
        for turn, length, light in ((0, 108, 0.95), (90, 108, 0.95), (45, 52, 0.5), (135, 52, 0.5))
    )
    core = '<circle r="74" fill="url(#STAR-glow)"/>'
    return (
        f'<g transform="translate({_MIDDLE} {_MIDDLE}) rotate(9)">{core}{spikes}'
        '<circle r="11" fill="#fffdf5"/></g>'
    )


_DRAWN: Mapping[str, Callable[[random.Random], str]] = {
    "GALAXY": _galaxy,
    "QSO": _quasar,
    "STAR": _star,
}
_GLOWS = {"GALAXY": "#ffe6b8", "QSO": "#8fb5ff", "STAR": "#ffdf9a"}


def _glow(name: str) -> str:
    def fade(kind: str, colour: str, light: float) -> str:
        return (
            f'<radialGradient id="{name}-{kind}"><stop offset="0" stop-color="#fff" '
            f'stop-opacity="{light}"/><stop offset="0.3" stop-color="{colour}" '
            f'stop-opacity="{light * 0.6:.2f}"/><stop offset="1" stop-color="{colour}" '
            'stop-opacity="0"/></radialGradient>'
        )

    return fade("glow", _GLOWS[name], 0.95) + fade("haze", "#7f9bff", 0.3)


def _field(draw: random.Random) -> str:
    """Faint stars behind."""
    return "".join(
        f'<circle cx="{draw.uniform(6, _SIZE - 6):.1f}" cy="{draw.uniform(6, _SIZE - 6):.1f}" '
        f'r="{draw.uniform(0.4, 1.1):.1f}" fill="#fff" '
        f'fill-opacity="{draw.uniform(0.2, 0.7):.2f}"/>'
        for _ in range(46)
    )


def _dot(x: float, y: float, size: float, colour: str, light: float) -> str:
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}" fill="{colour}" '
        f'fill-opacity="{max(0.05, light):.2f}"/>'
    )
