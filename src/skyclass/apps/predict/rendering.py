"""What the prediction page shows: examples, predictions and errors as HTML."""

from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import pyarrow as pa

from skyclass.apps.predict.classification import MODE_COLUMN, Prediction
from skyclass.errors import ServingError, SkyclassError
from skyclass.survey.features import MAGNITUDES, Mode
from skyclass.survey.observation import CLASSES

FIELDS = (*MAGNITUDES, "redshift")

EXAMPLES = [  # real DR17 objects
    ["19.622", "18.480", "17.381", "16.909", "16.560", "0.236"],
    ["21.041", "18.886", "17.506", "16.988", "16.706", "0.218"],
    ["20.232", "19.572", "19.430", "19.309", "19.070", "2.350"],
    ["19.472", "19.532", "19.219", "19.178", "19.237", "1.393"],
    ["19.127", "18.140", "17.769", "17.619", "17.559", "0.001"],
    ["21.059", "19.576", "18.802", "18.552", "18.456", ""],
]
EXAMPLE_LABELS = [
    "a galaxy",
    "a red galaxy",
    "a quasar at redshift 2.35",
    "a quasar at redshift 1.39",
    "a star",
    "a star without a redshift",
]
PREVIEW_ROWS = 20

DRAWINGS = {
    name: (Path(__file__).parent / "drawings" / f"{name.lower()}.svg").read_text()
    for name in CLASSES
}
"""SVG element of each class."""


def parse_numbers(texts: Sequence[str]) -> list[float | None]:
    """Return the numbers of the fields; None for an empty field.

    Raises:
        ServingError: A text is not a number.
    """
    numbers: list[float | None] = []
    for name, text in zip(FIELDS, texts, strict=True):
        try:
            numbers.append(float(text.replace(",", ".")) if text.strip() else None)
        except ValueError:
            raise ServingError(f"{name} is {text.strip()!r}: expected a number") from None
    return numbers


def render_prediction(prediction: Prediction) -> str:
    """Return HTML with the class, its drawing, its probability and the release."""
    probability = max(prediction.probabilities.values())
    version = escape(prediction.model_version)
    flags = f'<p class="flag">Unusual: {escape(prediction.flags)}</p>' if prediction.flags else ""
    return (
        f'<div class="prediction" role="status">{DRAWINGS[prediction.predicted]}<div>'
        f"<h2>{prediction.predicted}</h2><p>with probability {probability:.1%}</p>"
        f"<p>by the {prediction.mode} model, release "
        f'<code title="{version}">{version[:12]}</code></p>'
        f"{flags}</div></div>"
    )


def render_summary(rows: pa.Table) -> str:
    """Return HTML with the number of rows of each class, and of those without a redshift."""
    counts = Counter(rows["predicted"].to_pylist())
    by_class = ", ".join(f"{count:,} {name}" for name, count in counts.most_common())
    photometric = rows[MODE_COLUMN].to_pylist().count(str(Mode.PHOTOMETRIC))
    without = f" {photometric:,} of them without a redshift." if photometric else ""
    return f'<p role="status">{rows.num_rows:,} objects classified: {by_class}.{without}</p>'


def make_preview(rows: pa.Table) -> dict[str, list[Any]]:
    """Return the first rows for Gradio's table: by position, so that a name can occur twice."""
    first = rows.slice(0, PREVIEW_ROWS)
    texts = [column.cast("string").to_pylist() for column in first.columns]
    return {
        "headers": first.column_names,
        "data": [list(row) for row in zip(*texts, strict=True)],
    }


def render_error(error: SkyclassError) -> str:
    """Return HTML with the message of an error."""
    return f'<p class="error-message" role="alert">{escape(str(error))}</p>'
