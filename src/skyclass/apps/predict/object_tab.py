"""The tab that classifies one object and explains the prediction."""

from typing import Any

import gradio as gr

from skyclass.apps.predict.classification import Clients, Prediction, classify_object
from skyclass.apps.predict.explanations import Explain
from skyclass.apps.predict.fields import make_field, make_shares
from skyclass.apps.predict.form import (
    EXAMPLE_LABELS,
    EXAMPLES,
    FIELDS,
    GROUP_TITLES,
    OPTIONAL_FIELDS,
    parse_form,
)
from skyclass.apps.predict.rendering import render_error, render_prediction
from skyclass.errors import ServingError, SkyclassError
from skyclass.explaining.rendering import render_table
from skyclass.survey.features import GROUP_INPUTS

_EMPTY = '<p role="status">Enter the magnitudes of an object, or choose an example.</p>'


def make_object_tab(clients: Clients, explain: Explain) -> None:
    """Add the tab's components to the page.

    Args:
        clients: Client of each mode.
        explain: Explains a prediction.
    """
    fields = {name: make_field(name) for name in (*FIELDS, *OPTIONAL_FIELDS)}
    coverage, purity = make_shares(render=False)
    inputs = [*fields.values(), coverage, purity]
    prediction_html = gr.HTML(_EMPTY, label="Prediction", render=False)
    chart = gr.Label(label="Probabilities", num_top_classes=3, show_heading=False, render=False)
    why = gr.Button("Why?", visible=False, render=False)
    reasons = gr.HTML("", label="Explanation", render=False)
    last = gr.State(None)
    outputs = [prediction_html, chart, why, reasons, last]

    def classify(*texts: str | None) -> tuple[str, dict[str, float], Any, str, Prediction | None]:
        try:
            prediction = classify_object(clients, *parse_form(texts))
        except ServingError as error:
            return render_error(error), {}, gr.update(visible=False), "", None
        return (
            render_prediction(prediction),
            prediction.probabilities,
            gr.update(visible=True),
            "",
            prediction,
        )

    def show_reasons(prediction: Prediction | None) -> str:
        if prediction is None:
            return ""
        try:
            return render_table(explain(prediction))
        except SkyclassError as error:
            return render_error(error)

    with gr.Row():
        with gr.Column(scale=2):
            for required in (FIELDS[:3], FIELDS[3:]):
                with gr.Row():
                    for name in required:
                        fields[name].render()
            with gr.Accordion("More measurements", open=False):
                gr.Markdown("For the photometric model: all of them are optional.")
                for group, names in GROUP_INPUTS.items():
                    gr.Markdown(f"**{GROUP_TITLES[group]}**")
                    with gr.Row():
                        for name in names:
                            fields[name].render()
            with gr.Accordion("Certainty", open=False):
                coverage.render()
                purity.render()
            button = gr.Button("Classify", variant="primary")
            examples = gr.Examples(
                EXAMPLES,
                [fields[name] for name in (*FIELDS, *OPTIONAL_FIELDS)],
                example_labels=EXAMPLE_LABELS,
                cache_examples=False,
                label="Real objects",
            )
        with gr.Column(scale=3):
            prediction_html.render()
            chart.render()
            why.render()
            reasons.render()
    button.click(classify, inputs, outputs, api_name="classify")
    examples.load_input_event.then(classify, inputs, outputs, api_visibility="private")
    for name in (*FIELDS, *OPTIONAL_FIELDS):
        if name != "type":
            fields[name].submit(classify, inputs, outputs, api_visibility="private")
    why.click(show_reasons, last, reasons, api_visibility="private")
