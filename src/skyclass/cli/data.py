"""Commands for observations: `ingest` and `eda`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from skyclass.cli.options import AsJson
from skyclass.cli.output import err, print_result
from skyclass.settings import HomeSettings, load_settings

app = typer.Typer()
_PANEL = "Data"

SourceUri = Annotated[
    str,
    typer.Argument(help="File, http(s)://, s3://, simulated: or skyserver: URI of observations."),
]


@app.command(rich_help_panel=_PANEL)
def ingest(uri: SourceUri, as_json: AsJson = False) -> None:
    """Ingest the observations of a source into the table."""
    from skyclass.ingest.step import ingest_step

    with err.status(f"reading {uri}") as status:
        accounting = ingest_step(
            load_settings(), uri, lambda rows: status.update(f"reading {uri}: {rows:,} rows")
        )
    print_result(asdict(accounting), as_json)


@app.command(rich_help_panel=_PANEL)
def eda(
    uri: SourceUri,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="HTML file to write; default: exploration.html in the home."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explore the observations of a source in an HTML report, without ingesting them."""
    from skyclass.training.reports.exploration import render_exploration
    from skyclass.training.steps.explore import sample_step

    with err.status(f"reading {uri}"):
        sample = sample_step(load_settings(), uri)
        report = output or HomeSettings().home / "exploration.html"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(render_exploration(sample))
    print_result({"rows": sample.rows_in, "unfit": sample.rejected, "report": str(report)}, as_json)
