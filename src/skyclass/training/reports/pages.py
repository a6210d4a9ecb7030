"""Rendering of the reports' templates: self-contained HTML pages, and Markdown."""

import math
from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from skyclass.survey.observation import find_date

_TEMPLATES = Environment(
    loader=PackageLoader("skyclass.training.reports", "."),
    autoescape=select_autoescape(["html.j2"], default=False),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _format_fixed(value: float, digits: int) -> str:
    """Format a number with a fixed number of digits, without a negative zero."""
    return "-" if math.isnan(value) else f"{round(value, digits) + 0:.{digits}f}"


def _format_optional(value: float | None, template: str) -> str:
    return "-" if value is None else template % value


def _format_text(text: str) -> str:
    """Format foreign text for Markdown: on one line, and without the ends of code and cells."""
    return " ".join(text.split()).replace("`", "'").replace("|", "/")


def format_settings(settings: Mapping[str, int | float]) -> str:
    """Format scikit-learn parameters with the last two parts of their names."""
    found = (f"{' '.join(name.split('__')[-2:])} = {value:g}" for name, value in settings.items())
    return ", ".join(found) or "default"


def name_split(split: str) -> str:
    """Return the name of a hold-out in texts, for example `random`."""
    return split.replace("_holdout", "")


_TEMPLATES.filters |= {
    "date": find_date,
    "fixed": _format_fixed,
    "optional": _format_optional,
    "percent": "{:.1%}".format,
    "settings": format_settings,
    "split_name": name_split,
    "text": _format_text,
    "thousands": "{:,}".format,
    "whole_percent": "{:.0%}".format,
}


def render_page(template: str, **values: object) -> str:
    """Render a template of this package; values are escaped in HTML only."""
    return _TEMPLATES.get_template(template).render(values)
