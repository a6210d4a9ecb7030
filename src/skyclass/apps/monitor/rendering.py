"""The Jinja environment of the pages, and the formats of times, counts and shares."""

from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from skyclass.apps.monitor.messages import ACTIONS, describe_outcome
from skyclass.monitoring.documents import WindowDocument, window_prefix
from skyclass.monitoring.report import HEADLINES
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.survey.features import Mode
from skyclass.survey.observation import CLASSES, find_date
from skyclass.training.reports.checks import make_check_table, render_checks_html
from skyclass.training.reports.pages import format_settings

PAGES = {
    "": "Drift",
    "accuracy": "Accuracy",
    "predictions": "Predictions",
    "scored": "Scored tables",
    "releases": "Releases",
    "decisions": "Decisions",
}
"""Titles of the pages of a mode, by path."""

_SHADE_THRESHOLDS = (0.002, 0.02, 0.2, 0.5)
"""Shares of a row of the confusion matrix at which a cell gets a darker shade."""


def make_environment() -> Environment:
    """Return the Jinja environment of the pages."""
    environment = Environment(
        loader=PackageLoader("skyclass.apps.monitor"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "actions": ACTIONS,
        "classes": CLASSES,
        "describe_outcome": describe_outcome,
        "headlines": HEADLINES,
        "modes": list(Mode),
        "pages": PAGES,
        "shade": _get_shade,
        "summarise_checks": lambda checks: make_check_table(checks).summary,
        "short_verdicts": {verdict: verdict.replace("_", " ") for verdict in Verdict},
    }
    environment.filters |= {
        "checks": lambda checks: Markup(render_checks_html(checks)),  # noqa: S704 - escaped there
        "count": lambda number: f"{number:,}",
        "drifted": _list_drifted,
        "night": find_date,
        "percent": _format_percent,
        "sentence": _format_sentence,
        "settings": format_settings,
        "time": _format_time,
        "window_name": _get_window_name,
    }
    return environment


def _get_window_name(document: WindowDocument) -> str:
    """Return the name of a window in URLs: the last part of its prefix in the reports bucket."""
    return window_prefix(document.mode, document.window_end).rstrip("/").rsplit("/", 1)[-1]


def _format_time(time: datetime) -> Markup:
    utc = time.astimezone(UTC)
    return Markup('<time datetime="{:%Y-%m-%dT%H:%M:%SZ}">{:%Y-%m-%d %H:%M}</time>').format(
        utc, utc
    )


def _format_percent(share: float) -> str:
    return "100%" if share == 1 else f"{share:.1%}"


def _format_sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}"


def _list_drifted(verdict: DriftVerdict) -> str:
    names = [name for name, comparison in verdict.columns.items() if comparison.drifted]
    if verdict.predictions and verdict.predictions.drifted:
        names.append("predicted class")
    return ", ".join(names)


def _get_shade(count: int, row: tuple[int, ...]) -> int:
    share = count / max(1, sum(row))
    return sum(share >= threshold for threshold in _SHADE_THRESHOLDS)
