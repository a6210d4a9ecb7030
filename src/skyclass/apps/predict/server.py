"""Serves the prediction page."""

import gradio as gr
from fastapi import FastAPI

from skyclass.apps.predict.classification import Clients
from skyclass.apps.predict.explanations import Explain, make_explain, open_registry
from skyclass.apps.predict.page import STYLE, make_page
from skyclass.apps.web_server import Address, make_fastapi, make_sign_out_path, run
from skyclass.explaining.rendering import STYLE as TABLE_STYLE

MAX_TABLE_SIZE = "100mb"


def make_app(clients: Clients, explain: Explain, sign_out: str = "") -> FastAPI:
    """Return the application.

    Args:
        clients: Client of each mode.
        explain: Explains a prediction.
        sign_out: Path with which users of a login sign out, or nothing.
    """
    return gr.mount_gradio_app(
        make_fastapi("skyclass predictions"),
        make_page(clients, explain, sign_out),
        path="/",
        css_paths=[STYLE, TABLE_STYLE],
        theme=gr.themes.Default(
            primary_hue="indigo",
            font=["system-ui", "Segoe UI", "Roboto", "sans-serif"],
            font_mono=["ui-monospace", "DejaVu Sans Mono", "monospace"],
        ).set(  # the default colours have too little contrast
            block_info_text_color="*neutral_600",
            button_primary_background_fill="*primary_600",
        ),
        show_error=False,
        max_file_size=MAX_TABLE_SIZE,
        ssr_mode=False,
        footer_links=[],
    )


def serve(clients: Clients, address: Address) -> None:
    """Serve the prediction page until SIGTERM or SIGINT.

    Args:
        clients: Client of each mode.
        address: Where it is served.

    Raises:
        ServingError: A port is in use.
    """
    sign_out = make_sign_out_path(address.root_path) if address.has_login else ""
    app = make_app(clients, make_explain(open_registry), sign_out)
    run(app, address, http="h11")
