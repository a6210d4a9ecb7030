"""Command for batch scoring: `score`."""

from dataclasses import asdict
from typing import Annotated

import typer

from skyclass.cli.options import AsJson, ModeOption
from skyclass.cli.output import err, print_result
from skyclass.settings import load_settings
from skyclass.survey.features import Mode

app = typer.Typer()
_PANEL = "Predictions"


@app.command(rich_help_panel=_PANEL)
def score(
    uri: Annotated[
        str,
        typer.Argument(
            help="`table:` for the observations, or the URI of a Delta table or a file."
        ),
    ],
    mode: ModeOption = Mode.SPECTROSCOPIC,
    release: Annotated[str, typer.Option(help="ID of a release, or `champion`.")] = "champion",
    shard: Annotated[
        str, typer.Option(help="Part of the input to score, as INDEX/COUNT, e.g. 0/4.")
    ] = "0/1",
    as_json: AsJson = False,
) -> None:
    """Score the rows of a table that a release has not scored yet."""
    from skyclass.scoring.steps import score_step

    with err.status(f"scoring {uri}") as status:
        accounting = score_step(
            load_settings(),
            uri,
            mode,
            release,
            shard,
            lambda rows: status.update(f"scoring {uri}: {rows:,} rows"),
        )
    print_result(asdict(accounting), as_json)
