"""Layout and event handlers of the prediction page, in Gradio."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # Gradio reads it when it is imported

import gradio as gr
import pyarrow as pa

from skyclass.apps.predict.classification import (
    MODE_COLUMN,
    Clients,
    Prediction,
    classify_object,
    classify_table,
)
from skyclass.errors import ServingError, SkyclassError
from skyclass.survey.features import MAGNITUDES, Mode
from skyclass.survey.observation import CLASSES
from skyclass.tables.files.open import SUFFIXES

TableOutputs = tuple[str, Any, Any]
"""Updates of the summary, the file and the rows on the table tab."""

DELETE_CACHE_SECONDS = (3600, 86_400)
"""Interval at which Gradio deletes uploaded and written files, and their maximum age."""

QUEUE_POLL_SECONDS = 0.05
"""Interval at which Gradio looks for requests of the browser."""

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

CSS = Path(__file__).with_name("page.css")
DRAWINGS = {
    name: (Path(__file__).parent / "drawings" / f"{name.lower()}.svg").read_text()
    for name in CLASSES
}
"""SVG element of each class."""

_EMPTY = '<p role="status">Enter the magnitudes of an object, or choose an example.</p>'


def make_page(clients: Clients) -> gr.Blocks:
    """Return the page.

    Args:
        clients: Client of each mode.
    """
    with gr.Blocks(
        title="skyclass: galaxy, quasar or star?",
        analytics_enabled=False,
        delete_cache=DELETE_CACHE_SECONDS,
    ) as page:
        gr.Markdown(
            "# Galaxy, quasar or star?\n"
            "Classifies an object by its magnitudes in the five filters of the Sloan Digital Sky "
            "Survey and its redshift. Without a redshift, a photometric model is used, which is "
            "less accurate."
        )
        with gr.Tab("One object"):
            _make_object_tab(clients)
        with gr.Tab("A table"):
            _make_table_tab(clients)
    # By default Gradio polls a thousand times per second: an idle page takes 3 % of a core.
    page._queue.sleep_when_free = QUEUE_POLL_SECONDS
    page._queue.progress_update_sleep_when_free = QUEUE_POLL_SECONDS
    return page


def _make_object_tab(clients: Clients) -> None:
    inputs = [_make_field(name) for name in FIELDS]
    prediction_html = gr.HTML(_EMPTY, label="Prediction", render=False)
    chart = gr.Label(label="Probabilities", num_top_classes=3, show_heading=False, render=False)

    def classify(*texts: str) -> tuple[str, dict[str, float]]:
        try:
            *magnitudes, redshift = parse_numbers(texts)
            prediction = classify_object(clients, magnitudes, redshift)
        except ServingError as error:
            return render_error(error), {}
        return render_prediction(prediction), prediction.probabilities

    with gr.Row():
        with gr.Column(scale=2):
            for fields in (inputs[:3], inputs[3:]):
                with gr.Row():
                    for field in fields:
                        field.render()
            button = gr.Button("Classify", variant="primary")
            gr.Examples(
                EXAMPLES,
                inputs,
                outputs=[prediction_html, chart],
                fn=classify,
                example_labels=EXAMPLE_LABELS,
                run_on_click=True,
                cache_examples=False,
                label="Real objects",
            )
        with gr.Column(scale=3):
            prediction_html.render()
            chart.render()
    button.click(classify, inputs, [prediction_html, chart], api_name="classify")
    for field in inputs:
        field.submit(classify, inputs, [prediction_html, chart], api_visibility="private")


def _make_field(name: str) -> gr.Textbox:
    """Return a text field: Gradio's number field shows 0 for an unknown value."""
    placeholder = "optional" if name == "redshift" else "mag"
    return gr.Textbox(label=name, placeholder=placeholder, min_width=120, max_lines=1, render=False)


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


def _make_table_tab(clients: Clients) -> None:
    gr.Markdown(
        "A CSV or Parquet file with the columns u, g, r, i, z and optionally redshift. Other "
        "columns are kept. With the columns plate, mjd and fiber_id, the accuracy of the "
        "predictions is measured when labels arrive."
    )
    table = gr.File(label="Table", file_types=list(SUFFIXES), type="filepath")
    button = gr.Button("Classify the table", variant="primary")
    summary = gr.HTML("", label="Summary")
    result_file = gr.File(label="Predictions", interactive=False, visible=False)
    preview = gr.Dataframe(label=f"First {PREVIEW_ROWS} rows", interactive=False, visible=False)

    def classify(file: str | None, progress: gr.Progress = gr.Progress()) -> Iterator[TableOutputs]:  # noqa: B008 - Gradio recognises it as a default
        hidden = gr.update(visible=False, value=None)
        if file is None:
            yield render_error(ServingError("no table: choose a file")), hidden, hidden
            return

        def show_progress(done: int, rows: int) -> None:
            progress((done, rows), desc="Classifying", unit="objects")

        with tempfile.TemporaryDirectory(prefix="skyclass-") as folder:
            try:
                target, rows = classify_table(clients, Path(file), Path(folder), show_progress)
            except SkyclassError as error:
                yield render_error(error), hidden, hidden
                return
            yield (  # Gradio copies the file before it resumes, and the folder is deleted
                render_summary(rows),
                gr.update(visible=True, value=str(target)),
                gr.update(visible=True, value=make_preview(rows)),
            )

    button.click(classify, table, [summary, result_file, preview], api_name="classify_table")


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
