"""Layout and event handlers of the prediction page, in Gradio."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # Gradio reads it when it is imported

import gradio as gr

from skyclass.apps.predict.classification import Clients, classify_object, classify_table
from skyclass.apps.predict.rendering import (
    EXAMPLE_LABELS,
    EXAMPLES,
    FIELDS,
    PREVIEW_ROWS,
    make_preview,
    parse_numbers,
    render_error,
    render_prediction,
    render_summary,
)
from skyclass.errors import ServingError, SkyclassError
from skyclass.tables.files.open import SUFFIXES

TableOutputs = tuple[str, Any, Any]
"""Updates of the summary, the file and the rows on the table tab."""

DELETE_CACHE_SECONDS = (3600, 86_400)
"""Interval at which Gradio deletes uploaded and written files, and their maximum age."""

QUEUE_POLL_SECONDS = 0.05
"""Interval at which Gradio looks for requests of the browser."""

CSS = Path(__file__).with_name("page.css")
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
