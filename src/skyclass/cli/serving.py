"""Commands for the endpoint: `serve` and `predict`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from skyclass.cli.options import MAX_PORT, CaFile, Host, ModeOption, TokenFile
from skyclass.cli.output import err
from skyclass.settings import load_settings
from skyclass.survey.features import INPUTS, OPTIONAL_INPUTS, Mode

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
        int | None,
        typer.Option(min=0, max=MAX_PORT, help="HTTP port to listen on; default: a free port."),
    ] = None,
    host: Host = "127.0.0.1",
    grpc_port: Annotated[
        int | None,
        typer.Option(min=0, max=MAX_PORT, help="gRPC port to listen on; default: a free port."),
    ] = None,
) -> None:
    """Serve a release over the V1 and V2 inference protocols."""
    from skyclass.serving.server import serve as serve_model

    serve_model(load_settings(), mode, release, port, host, grpc_port)


@app.command(rich_help_panel=_PANEL)
def predict(
    file: Annotated[
        Path,
        typer.Argument(
            help="File with one column per input, for example `stars.csv` or "
            "`stars.fits?hdu=2&z=psfMag_z&redshift=z`."
        ),
    ],
    mode: ModeOption = Mode.SPECTROSCOPIC,
    url: Annotated[str, typer.Option(help="URL of the predictor.")] = "http://127.0.0.1:8080",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="File to write: CSV, Parquet, FITS, VOTable or ECSV; default: CSV on standard "
            "output.",
        ),
    ] = None,
    prefix: Annotated[
        str, typer.Option(help="Prefix of the columns that are added, for example `sky_`.")
    ] = "",
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of the file, for example latin-1; default: UTF-8.")
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option(
            help="Add label sets (column `labels`) that have the true class of this share of the "
            "objects, for example 0.95."
        ),
    ] = None,
    purity: Annotated[
        float | None,
        typer.Option(
            help="Predict `uncertain` for objects outside a sample of this purity, for example "
            "0.95."
        ),
    ] = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Classify the objects of a file with a running predictor."""
    from skyclass.client import Client, list_columns
    from skyclass.tables.classified import (
        OUTPUT_SUFFIXES,
        append_predictions,
        check_names,
        check_output,
        write_classified,
    )
    from skyclass.tables.objects import read_objects

    if output and output.suffix.lower() not in OUTPUT_SUFFIXES:
        raise typer.BadParameter(
            f"{output}: end it with {' or '.join(OUTPUT_SUFFIXES)}", param_hint="-o"
        )
    objects = read_objects(file, INPUTS[mode], OPTIONAL_INPUTS[mode], encoding)
    names = [prefix + name for name in list_columns(objects.inputs, mode, coverage)]
    check_names(objects, names)
    check_output(objects, output, names)
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task("classifying", total=len(objects.inputs))
        client = Client(url, mode, token=token_file, ca_file=ca_file)
        predictions = client.classify_objects(
            objects,
            lambda done: bar.update(task, completed=done),
            coverage=coverage,
            purity=purity,
        )
    rows = append_predictions(objects, predictions, prefix)
    write_classified(objects, rows, output)
    if output:
        err.print(f"{len(predictions):,} objects classified: see {output}")
