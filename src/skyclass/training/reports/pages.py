"""Rendering of the reports' templates: self-contained HTML pages."""

import math

from jinja2 import Environment, PackageLoader, StrictUndefined

_TEMPLATES = Environment(
    loader=PackageLoader("skyclass.training.reports", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _format_fixed(value: float, digits: int) -> str:
    """Format a number with a fixed number of digits, without a negative zero."""
    return "-" if math.isnan(value) else f"{round(value, digits) + 0:.{digits}f}"


_TEMPLATES.filters |= {
    "fixed": _format_fixed,
    "percent": "{:.1%}".format,
    "thousands": "{:,}".format,
}


def render_page(template: str, **values: object) -> str:
    """Render a template of this package."""
    return _TEMPLATES.get_template(template).render(values)
