"""Assembles the command line from its groups, and turns expected errors into an exit status.

Results go to standard output, progress and logs to standard error. Exit status: 0 success; 1 the
command failed and printed one line, *what failed: the offending value; what to do*; 2 wrong usage.
"""

import importlib.metadata
import os
import sys
from typing import Annotated, NoReturn

import typer

from skyclass.cli import (
    apps,
    data,
    explain,
    export,
    local,
    maintenance,
    monitoring,
    notifications,
    pipelines,
    promotion,
    releases,
    scoring,
    serving,
)
from skyclass.cli.output import err, out
from skyclass.errors import SkyclassError, describe_full_disk, is_disk_full
from skyclass.logs import start_logging

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
for group in (
    local,
    data,
    maintenance,
    pipelines,
    releases,
    promotion,
    serving,
    scoring,
    export,
    explain,
    monitoring,
    notifications,
    apps,
):
    app.add_typer(group.app)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        out.print(f"skyclass {importlib.metadata.version('skyclass')}", highlight=False)
        raise typer.Exit


@app.callback()
def skyclass(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Train, serve and monitor a classifier of SDSS objects."""


def main() -> None:
    """Run the command line."""
    # With one thread a core, gradient boosting beside other work is many times slower. Libraries
    # read this variable once, when they are loaded.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    start_logging()
    try:
        app()
    except SkyclassError as error:
        _fail(str(error))
    except OSError as error:
        if not is_disk_full(error):
            raise
        _fail(describe_full_disk(error))


def _fail(message: str) -> NoReturn:
    err.print(f"error: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(1)
