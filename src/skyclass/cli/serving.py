"""Commands for the endpoint: `serve` and `predict`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from skyclass.cli.options import Host, ModeOption
from skyclass.cli.output import err
from skyclass.settings import load_settings
from skyclass.survey.features import Mode

app = typer.Typer()
_PANEL = "Predictions"


@app.command(rich_help_panel=_PANEL)
def serve(
    mode: ModeOption = Mode.SPECTROSCOPIC,
    release: Annotated[
        str | None,
        typer.Option(help="Folder or s3:// URI of a release; default: the champion, hot-reloaded."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="HTTP port to listen on; default: a free port.")
    ] = None,
    host: Host = "127.0.0.1",
    grpc_port: Annotated[
        int | None, typer.Option(help="gRPC port to listen on; default: a free port.")
    ] = None,
) -> None:
    """Serve a release over the V1 and V2 inference protocols."""
    from skyclass.serving.server import serve as serve_model

    serve_model(load_settings(), mode, release, port, host, grpc_port)


@app.command(rich_help_panel=_PANEL)
def predict(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet file with one column per input.")],
    mode: ModeOption = Mode.SPECTROSCOPIC,
    url: Annotated[str, typer.Option(help="URL of the predictor.")] = "http://127.0.0.1:8080",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="CSV or Parquet file to write; default: CSV on standard output."
        ),
    ] = None,
) -> None:
    """Classify the objects of a file with a running predictor."""
    from skyclass.client import Client
    from skyclass.tables.objects import SUFFIXES, read_objects, write_predictions

    if output and output.suffix not in SUFFIXES:
        raise typer.BadParameter(f"{output}: end it with {' or '.join(SUFFIXES)}", param_hint="-o")
    rows = read_objects(file)
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task("classifying", total=len(rows))
        predictions = Client(url, mode).classify(
            rows, lambda done: bar.update(task, completed=done)
        )
    write_predictions(rows.join(predictions), output or sys.stdout)
    if output:
        err.print(f"{len(rows):,} objects classified: see {output}")
