"""What the prediction page shows: examples, predictions and errors as HTML."""

from collections import Counter
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import pyarrow as pa

from skyclass.apps.predict.classification import Prediction
from skyclass.apps.predict.table import MODE_COLUMN
from skyclass.errors import SkyclassError
from skyclass.survey.features import Mode
from skyclass.survey.observation import CLASSES

PREVIEW_ROWS = 20

DRAWINGS = {
    name: (Path(__file__).parent / "drawings" / f"{name.lower()}.svg").read_text()
    for name in CLASSES
}
"""SVG element of each class."""


def render_prediction(prediction: Prediction) -> str:
    """Return HTML with the class, its drawing, its probability, the release and warnings."""
    probability = max(prediction.probabilities.values())
    version = escape(prediction.model_version)
    groups = f", with {escape(', '.join(prediction.groups))}" if prediction.groups else ""
    notes = "".join(f"<p>{escape(text)}</p>" for text in _describe_certainty(prediction))
    warnings = "".join(
        f'<p class="flag">{escape(text)}</p>' for text in _describe_warnings(prediction)
    )
    return (
        f'<div class="prediction" role="status">{DRAWINGS[prediction.predicted]}<div>'
        f"<h2>{prediction.predicted}</h2><p>with probability {probability:.1%}</p>"
        f"<p>by the {prediction.mode} model, release "
        f'<code title="{version}">{version[:12]}</code>{groups}</p>'
        f"{notes}{warnings}</div></div>"
    )


def _describe_certainty(prediction: Prediction) -> Iterator[str]:
    if prediction.labels is not None:
        yield f"Label set: {', '.join(prediction.labels) or 'empty'}"
    if prediction.is_certain is not None:
        yield f"{'Certain' if prediction.is_certain else 'Not certain'} enough for the sample"


def _describe_warnings(prediction: Prediction) -> Iterator[str]:
    if prediction.flags:
        yield f"Unusual: {prediction.flags}"
    if prediction.is_outside:
        yield (
            "Unlike the objects that the model was trained on: the probabilities do not hold for "
            "it. Check the units and the columns."
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
