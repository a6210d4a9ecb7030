"""Explanations as HTML, as rows of a table, and as lines of text."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from skyclass.errors import CatalogError
from skyclass.explaining.explanation import Explanation, describe_contribution
from skyclass.registry.releases import Release
from skyclass.survey.observation import CLASSES

STYLE = Path(__file__).with_name("contributions.css")
"""Style of the HTML tables."""

BASE = "mean of reference objects"

_TEMPLATES = Environment(
    loader=PackageLoader("skyclass.explaining", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_table(explanation: Explanation) -> str:
    """Return an HTML table with the contributions to the predicted class, the largest one first."""
    return _TEMPLATES.get_template("contributions.html.j2").render(explanation=explanation)


def render_page(
    source: str, release: Release, names: Sequence[str], explanations: Sequence[Explanation]
) -> str:
    """Return a self-contained HTML page.

    Args:
        source: Name of the file.
        release: The release that predicts.
        names: Name of each object, such as `line 3`.
        explanations: Their explanations.
    """
    return _TEMPLATES.get_template("page.html.j2").render(
        source=source, release=release, objects=list(zip(names, explanations, strict=True))
    )


def write_explanations(
    target: Path,
    source: str,
    release: Release,
    names: Sequence[str],
    explanations: Sequence[Explanation],
) -> None:
    """Write explanations to a file: CSV with one row per contribution, or a page.

    Args:
        target: File with the suffix .csv or .html.
        source: Name of the file with the objects.
        release: The release that predicts.
        names: Name of each object, such as `line 3`.
        explanations: Their explanations.

    Raises:
        CatalogError: The file cannot be written.
    """
    if target.suffix.lower() == ".html":
        text = render_page(source, release, names, explanations)
    else:
        pairs = zip(names, explanations, strict=True)
        records = [record for name, each in pairs for record in make_records(name, each)]
        text = pd.DataFrame(records).to_csv(index=False)
    try:
        target.write_text(text)
    except OSError as error:
        raise CatalogError(
            f"{target} cannot be written ({error.strerror}): choose another file"
        ) from error


def make_records(name: str, explanation: Explanation) -> Iterator[dict[str, Any]]:
    """Return one record per contribution, then those of the base and of the sum.

    Args:
        name: Name of the object, such as `line 3`.
        explanation: Its explanation.
    """
    common = {"object": name, "predicted": explanation.predicted}
    for each in explanation.contributions:
        typical = each.typical.get(explanation.predicted, (None, None))
        is_single = len(each.values) == 1
        yield {
            **common,
            "input": each.player.name,
            "value": next(iter(each.values.values())) if is_single else each.format_value(),
            "unit": each.player.unit if is_single else None,
            "typical_low": typical[0],
            "typical_high": typical[1],
            **each.shares,
        }
    for title, values in (("base", explanation.base), ("probability", explanation.probabilities)):
        yield {**common, "input": title, **values}


def describe_explanation(name: str, explanation: Explanation) -> Iterator[str]:
    """Return lines of text: the prediction, then the contributions to its class.

    Args:
        name: Name of the object, such as `line 3`.
        explanation: Its explanation.
    """
    predicted = explanation.predicted
    others = ", ".join(
        f"{each} {explanation.probabilities[each]:.3f}" for each in CLASSES if each != predicted
    )
    probability = explanation.probabilities[predicted]
    yield f"{name}: {predicted} with probability {probability:.3f} ({others})"
    yield f"  {BASE}: {explanation.base[predicted]:.3f}"
    for each in explanation.rank_contributions():
        yield f"  {describe_contribution(each, predicted)}"
