"""The templates, and how times, counts and shares are written in them."""

from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from skyclass.apps.monitor.words import ACTIONS, outcome
from skyclass.monitoring.drift import report_prefix
from skyclass.monitoring.report import HEADLINES
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.survey.features import Mode
from skyclass.survey.observation import CLASSES

PAGES = {
    "": "Drift",
    "accuracy": "Accuracy",
    "predictions": "Predictions",
    "scored": "Scored tables",
    "releases": "Releases",
    "decisions": "Decisions",
}
"""The pages of a mode, by path."""

_SHADES = (0.002, 0.02, 0.2, 0.5)
"""Share of a row of the confusion matrix from which on a cell is shaded more."""


def templates() -> Environment:
    """The templates of the pages."""
    made = Environment(
        loader=PackageLoader("skyclass.apps.monitor"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {
        "actions": ACTIONS,
        "classes": CLASSES,
        "headlines": HEADLINES,
        "modes": list(Mode),
        "outcome": outcome,
        "pages": PAGES,
        "shade": _shade,
        "short_verdicts": {each: each.replace("_", " ") for each in Verdict},
    }
    made.filters |= {
        "count": lambda number: f"{number:,}",
        "drifted": _drifted,
        "key": lambda verdict: window_key(verdict.mode, verdict.window_end),
        "percent": _percent,
        "sentence": _sentence,
        "time": _time,
    }
    return made


def window_key(mode: Mode, window_end: datetime) -> str:
    """What a window is called in addresses: as in the reports bucket."""
    return report_prefix(mode, window_end).rstrip("/").rsplit("/", 1)[-1]


def _time(time: datetime) -> Markup:
    utc = time.astimezone(UTC)
    return Markup('<time datetime="{:%Y-%m-%dT%H:%M:%SZ}">{:%Y-%m-%d %H:%M}</time>').format(
        utc, utc
    )


def _percent(share: float) -> str:
    return "100%" if share == 1 else f"{share:.1%}"


def _sentence(text: str) -> str:
    """A reason as a sentence of its own."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}"


def _drifted(verdict: DriftVerdict) -> str:
    names = [name for name, each in verdict.columns.items() if each.drifted]
    if verdict.predictions and verdict.predictions.drifted:
        names.append("predicted class")
    return ", ".join(names)


def _shade(count: int, row: tuple[int, ...]) -> int:
    share = count / max(1, sum(row))
    return sum(share >= limit for limit in _SHADES)
