"""Commands for web pages: `monitor` and `predict-page`."""

from typing import Annotated

import typer

from skyclass.cli.options import CaFile, Host, Login, Port, ProbePort, RootPath, TokenFile
from skyclass.cli.output import err
from skyclass.settings import load_settings
from skyclass.survey.features import Mode

app = typer.Typer()
_PANEL = "Web pages"


@app.command(rich_help_panel=_PANEL)
def monitor(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    root_path: RootPath = "",
    probe_port: ProbePort = None,
    login: Login = False,
) -> None:
    """Serve the monitor page: drift, accuracy and decisions."""
    from skyclass.apps.monitor.server import serve
    from skyclass.apps.web_server import Address

    settings = load_settings()
    address = Address(port, host, root_path, probe_port, login)
    err.print(f"Monitor page: {address.url}", highlight=False)
    serve(settings, address)


@app.command(rich_help_panel=_PANEL)
def predict_page(
    spectroscopic: Annotated[
        str, typer.Option(help="URL of the predictor with redshift.")
    ] = "http://127.0.0.1:8080",
    photometric: Annotated[
        str, typer.Option(help="URL of the predictor without redshift.")
    ] = "http://127.0.0.1:8081",
    host: Host = "127.0.0.1",
    port: Port = 8001,
    root_path: RootPath = "",
    probe_port: ProbePort = None,
    login: Login = False,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Serve the prediction page: classify objects in a browser."""
    from skyclass.apps.predict.server import serve
    from skyclass.apps.web_server import Address
    from skyclass.client import Client

    urls = {Mode.SPECTROSCOPIC: spectroscopic, Mode.PHOTOMETRIC: photometric}
    clients = {
        mode: Client(url, mode, token=token_file, ca_file=ca_file) for mode, url in urls.items()
    }
    address = Address(port, host, root_path, probe_port, login)
    err.print(f"Prediction page: {address.url}", highlight=False)
    serve(clients, address)
