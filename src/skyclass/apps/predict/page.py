"""The prediction page in Gradio: what it looks like, and what its buttons do."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read by Gradio when it is imported

import gradio as gr
import pandas as pd

from skyclass.apps.predict.asking import Answer, Clients, ask, ask_about_table
from skyclass.apps.predict.pictures import picture
from skyclass.errors import ServingError
from skyclass.survey.features import MAGNITUDES, Mode

Shown = tuple[str, Any, Any]
"""What became of a table: in words, and what the file and the rows below them show."""

COPIES = (3600, 86_400)
"""How often Gradio clears its copies of tables away, and how old they get, in seconds."""

INPUTS_SHOWN = (*MAGNITUDES, "redshift")

EXAMPLES = [  # real DR17 objects, as a person would type them
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
SHOWN_ROWS = 20

CSS = Path(__file__).with_name("page.css")

_EMPTY = '<p role="status">Type the magnitudes of an object, or choose an example.</p>'


def make_page(clients: Clients) -> gr.Blocks:
    """Make the page.

    Args:
        clients: One for each model.
    """
    with gr.Blocks(
        title="skyclass: galaxy, quasar or star?", analytics_enabled=False, delete_cache=COPIES
    ) as page:
        gr.Markdown(
            "# Galaxy, quasar or star?\n"
            "From an object's magnitudes in the five filters of the Sloan Digital Sky Survey and, "
            "where it is known, its redshift. Without a redshift the photometric model answers, "
            "which errs more often."
        )
        with gr.Tab("One object"):
            _one_object(clients)
        with gr.Tab("A table"):
            _table(clients)
    return page


def _one_object(clients: Clients) -> None:
    with gr.Row():
        with gr.Column(scale=2):
            inputs = []
            for names in (INPUTS_SHOWN[:3], INPUTS_SHOWN[3:]):
                with gr.Row():
                    inputs += [_field(name) for name in names]
            button = gr.Button("Classify", variant="primary")
        with gr.Column(scale=3):
            said = gr.HTML(_EMPTY, label="Answer")
            chart = gr.Label(label="Probabilities", num_top_classes=3, show_heading=False)

    def classify(*typed: str) -> tuple[str, dict[str, float]]:
        try:
            *magnitudes, redshift = read_numbers(typed)
            answer = ask(clients, magnitudes, redshift)
        except ServingError as error:
            return problem(error), {}
        return describe(answer), answer.probabilities

    gr.Examples(
        EXAMPLES,
        inputs,
        outputs=[said, chart],
        fn=classify,
        example_labels=EXAMPLE_LABELS,
        run_on_click=True,
        cache_examples=False,
        label="Real objects",
    )
    button.click(classify, inputs, [said, chart], api_name="classify")
    for each in inputs:
        each.submit(classify, inputs, [said, chart], api_visibility="private")


def _field(name: str) -> gr.Textbox:
    """Text, not a number: Gradio's field for numbers shows 0 where nothing is known."""
    known = "empty if not known" if name == "redshift" else "mag"
    return gr.Textbox(label=name, placeholder=known, min_width=100, max_lines=1)


def read_numbers(typed: Sequence[str]) -> list[float | None]:
    """What was typed, as numbers; what was left empty is None.

    Raises:
        ServingError: Something is no number; the message names it.
    """
    numbers: list[float | None] = []
    for name, text in zip(INPUTS_SHOWN, typed, strict=True):
        try:
            numbers.append(float(text.replace(",", ".")) if text.strip() else None)
        except ValueError:
            raise ServingError(f"{name}: {text.strip()!r} is no number") from None
    return numbers


def _table(clients: Clients) -> None:
    gr.Markdown(
        "A CSV file with the columns u, g, r, i, z and, where it is known, redshift. Other columns "
        "are kept. Where plate, mjd and fiber_id are among them, labels that arrive later find "
        "their prediction."
    )
    given = gr.File(label="Your table", file_types=[".csv"], type="filepath")
    button = gr.Button("Classify the table", variant="primary")
    said = gr.HTML("", label="What came of it")
    answers = gr.File(label="The answers", interactive=False, visible=False)
    shown = gr.Dataframe(label=f"The first {SHOWN_ROWS} rows", interactive=False, visible=False)

    def classify(file: str | None, progress: gr.Progress = gr.Progress()) -> Iterator[Shown]:  # noqa: B008 - Gradio looks for it there
        hidden = gr.update(visible=False, value=None)
        if file is None:
            error = ServingError("there is no table: choose a CSV file first")
            yield problem(error), hidden, hidden
            return

        def tell(done: int, rows: int) -> None:
            progress((done, rows), desc="Classifying", unit="objects")

        with tempfile.TemporaryDirectory(prefix="skyclass-") as folder:
            try:
                target, together = ask_about_table(clients, Path(file), Path(folder), tell)
            except ServingError as error:
                yield problem(error), hidden, hidden
                return
            yield (  # Gradio has a copy of the file when it asks for what follows
                summary(together),
                gr.update(visible=True, value=str(target)),
                gr.update(visible=True, value=together.head(SHOWN_ROWS)),
            )

    button.click(classify, given, [said, answers, shown], api_name="classify_table")


def describe(answer: Answer) -> str:
    """An answer in words, beside the picture of its class."""
    sure, version = max(answer.probabilities.values()), escape(answer.model_version)
    flags = f'<p class="flag">Unusual: {escape(answer.flags)}</p>' if answer.flags else ""
    return (
        f'<div class="answer" role="status">{picture(answer.predicted)}<div>'
        f"<h2>{answer.predicted}</h2><p>with probability {sure:.1%}</p>"
        f"<p>by the {answer.mode} model, release "
        f'<code title="{version}">{version[:12]}</code></p>'
        f"{flags}</div></div>"
    )


def summary(answers: pd.DataFrame) -> str:
    """What came of a table, in words."""
    counts = answers["predicted"].value_counts()
    by_class = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    modes = answers["mode"].value_counts()
    photometric = int(modes.get(str(Mode.PHOTOMETRIC), 0))
    without = f" {photometric:,} of them without a redshift." if photometric else ""
    return f'<p role="status">{len(answers):,} objects classified: {by_class}.{without}</p>'


def problem(error: ServingError) -> str:
    """What went wrong, in the words of whoever said it."""
    return f'<p class="problem" role="alert">{escape(str(error))}</p>'
