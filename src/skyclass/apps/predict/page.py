"""The prediction page, in Gradio."""

import os
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # Gradio reads it when it is imported

import gradio as gr

from skyclass.apps.predict.classification import Clients
from skyclass.apps.predict.explanations import Explain
from skyclass.apps.predict.object_tab import make_object_tab
from skyclass.apps.predict.table_tab import make_table_tab

DELETE_CACHE_SECONDS = (3600, 86_400)
"""Interval at which Gradio deletes uploaded and written files, and their maximum age."""

QUEUE_POLL_SECONDS = 0.05
"""Interval at which Gradio looks for requests of the browser."""

STYLE = Path(__file__).with_name("page.css")


def make_page(clients: Clients, explain: Explain, sign_out: str = "") -> gr.Blocks:
    """Return the page.

    Args:
        clients: Client of each mode.
        explain: Explains a prediction.
        sign_out: Path with which users of a login sign out, or nothing.
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
            "less accurate; more measurements make it better."
        )
        if sign_out:
            gr.Markdown(f"[Sign out]({sign_out})")
        with gr.Tab("One object"):
            make_object_tab(clients, explain)
        with gr.Tab("A table"):
            make_table_tab(clients)
    # By default Gradio polls a thousand times per second: an idle page takes 3 % of a core.
    page._queue.sleep_when_free = QUEUE_POLL_SECONDS
    page._queue.progress_update_sleep_when_free = QUEUE_POLL_SECONDS
    return page
