"""Command that publishes predictions: `export`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from skyclass.cli.options import AsJson, ModeOption
from skyclass.cli.output import err, print_result
from skyclass.settings import load_settings
from skyclass.survey.features import Mode

app = typer.Typer()
_PANEL = "Predictions"


@app.command(rich_help_panel=_PANEL)
def export(
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="File to write: FITS, VOTable, ECSV or Parquet."),
    ] = Path("catalogue.fits"),
    mode: ModeOption = Mode.SPECTROSCOPIC,
    release: Annotated[str, typer.Option(help="ID of a release, or `champion`.")] = "champion",
    source: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="Only predictions of this input, as `skyclass releases lineage` lists it.",
            show_default=False,
        ),
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the predictions.")] = "CC0-1.0",
    author: Annotated[
        str | None, typer.Option(help="Who publishes the catalogue.", show_default=False)
    ] = None,
    data_release: Annotated[
        str | None,
        typer.Option(
            help="Data release of the survey; default: those of the training rows.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the batch predictions of a release as a catalogue that can be published."""
    from skyclass.scoring.catalogue_facts import Publication
    from skyclass.scoring.export import EXPORT_SUFFIXES, export_predictions
    from skyclass.scoring.score import find_release

    if output.suffix.lower() not in EXPORT_SUFFIXES:
        raise typer.BadParameter(
            f"{output}: end it with one of {', '.join(EXPORT_SUFFIXES)}", param_hint="-o"
        )
    settings = load_settings()
    with err.status(f"writing {output}"):
        result = export_predictions(
            settings,
            find_release(settings, mode, release),
            output,
            Publication(author, licence, data_release),
            source,
        )
    shown = asdict(result)
    print_result({key: value for key, value in shown.items() if value is not None}, as_json)
