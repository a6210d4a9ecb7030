"""Fields of the prediction page's forms."""

import gradio as gr

from skyclass.apps.predict.form import OPTIONAL_FIELDS, PLACEHOLDERS, SHARES, TYPES


def make_field(name: str) -> gr.Textbox | gr.Radio:
    """Return a text field: Gradio's number field shows 0 for an unknown value."""
    if name == "type":
        return gr.Radio(TYPES, value="", label=name, render=False)
    return gr.Textbox(
        label=name,
        placeholder=PLACEHOLDERS.get(name, "mag"),
        min_width=100 if name in OPTIONAL_FIELDS else 120,
        max_lines=1,
        render=False,
    )


def make_shares(render: bool) -> tuple[gr.Radio, gr.Radio]:
    """Return the choices of a coverage and of a purity."""
    return (
        gr.Radio(
            SHARES,
            value="",
            label="Label set",
            info="The classes that the object may have, right for this share of the objects.",
            render=render,
        ),
        gr.Radio(
            SHARES,
            value="",
            label="Purity",
            info="Whether the object belongs to a sample of this purity.",
            render=render,
        ),
    )
