"""The tab that classifies a table."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from skyclass.apps.predict.classification import Clients
from skyclass.apps.predict.fields import make_shares
from skyclass.apps.predict.form import parse_certainty
from skyclass.apps.predict.rendering import (
    PREVIEW_ROWS,
    make_preview,
    render_error,
    render_summary,
)
from skyclass.apps.predict.table import classify_table
from skyclass.errors import ServingError, SkyclassError
from skyclass.tables.files.open import SUFFIXES

TableOutputs = tuple[str, Any, Any]
"""Updates of the summary, the file and the rows."""


def make_table_tab(clients: Clients) -> None:
    """Add the tab's components to the page.

    Args:
        clients: Client of each mode.
    """
    gr.Markdown(
        "A FITS, VOTable, ECSV, IPAC, CSV or Parquet file with the columns u, g, r, i, z and "
        "optionally redshift and the further measurements of the photometric model. Other columns "
        "are kept. With the columns plate, mjd and fiber_id, the accuracy of the predictions is "
        "measured when labels arrive."
    )
    table = gr.File(label="Table", file_types=list(SUFFIXES), type="filepath")
    options = gr.Textbox(
        label="Table and columns of the file",
        info="Only if it is not certain which they are, for example hdu=2&z=psfMag_z.",
        placeholder="optional",
        max_lines=1,
    )
    with gr.Accordion("Certainty", open=False):
        coverage, purity = make_shares(render=True)
    button = gr.Button("Classify the table", variant="primary")
    summary = gr.HTML("", label="Summary")
    result_file = gr.File(label="Predictions", interactive=False, visible=False)
    preview = gr.Dataframe(label=f"First {PREVIEW_ROWS} rows", interactive=False, visible=False)

    def classify(
        file: str | None,
        options: str | None,
        coverage: str | None,
        purity: str | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio recognises it as a default
    ) -> Iterator[TableOutputs]:
        hidden = gr.update(visible=False, value=None)
        if file is None:
            yield render_error(ServingError("no table: choose a file")), hidden, hidden
            return

        def show_progress(done: int, rows: int) -> None:
            progress((done, rows), desc="Classifying", unit="objects")

        certainty = parse_certainty(coverage, purity)
        with tempfile.TemporaryDirectory(prefix="skyclass-") as folder:
            try:
                target, rows = classify_table(
                    clients,
                    Path(file),
                    Path(folder),
                    show_progress,
                    certainty,
                    (options or "").strip(),
                )
            except SkyclassError as error:
                yield render_error(error), hidden, hidden
                return
            yield (  # Gradio copies the file before it resumes, and the folder is deleted
                render_summary(rows),
                gr.update(visible=True, value=str(target)),
                gr.update(visible=True, value=make_preview(rows)),
            )

    button.click(
        classify,
        [table, options, coverage, purity],
        [summary, result_file, preview],
        api_name="classify_table",
    )
