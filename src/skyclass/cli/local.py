"""Commands for one machine: `s3` and `demo`."""

import logging
import os
import shutil
import signal
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from skyclass.cli.options import MAX_PORT, AsJson, ModeOption
from skyclass.cli.output import err, out, print_json
from skyclass.logs import start_logging
from skyclass.settings import HomeSettings, load_settings
from skyclass.survey.features import Mode

if TYPE_CHECKING:
    from skyclass.local.demo import DemoResult

app = typer.Typer()
_PANEL = "This machine"


@app.command(rich_help_panel=_PANEL)
def demo(
    source: Annotated[
        str, typer.Option(help="URI of observations.")
    ] = "simulated:?rows=18000&era=legacy,boss,eboss&seed=0",
    mode: ModeOption = Mode.SPECTROSCOPIC,
    candidates: Annotated[
        str,
        typer.Option(help="Candidate models of both trainings, separated by commas, or `all`."),
    ] = "decision_tree,hist_gradient_boosting",
    as_json: AsJson = False,
) -> None:
    """Train, serve, detect drift and retrain on this machine."""
    from skyclass.local.progress import ProgressReporter
    from skyclass.local.s3_server import EmbeddedS3

    home = HomeSettings().home / "demo"
    shutil.rmtree(home, ignore_errors=True)  # each demo starts empty
    start = time.monotonic()
    # SIGTERM stops the server and the predictor, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    start_logging(logging.WARNING)  # the progress reporter covers what INFO would say
    # The pipeline's steps and the predictor are processes: they read these settings.
    os.environ["SKYCLASS_HOME"] = str(home)
    with ProgressReporter(err) as progress:
        progress.start("Starting the S3 server")
        with EmbeddedS3(home) as access:
            os.environ.update(access.environment())
            progress.finish(f"listening at {access.endpoint_url}")
            from skyclass.local.demo import run_demo

            result = run_demo(load_settings(), source, mode, candidates, progress)
    if as_json:
        fields = asdict(result)
        fields["scenes"] = fields.pop("phases")  # the key since version 0.1
        print_json(fields)
    else:
        _print_demo(result, time.monotonic() - start)


@app.command(rich_help_panel=_PANEL)
def s3(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=MAX_PORT, help="Port of the S3 endpoint; default: a free port."),
    ] = None,
) -> None:
    """Run the embedded S3 server and print its settings as shell exports."""
    from skyclass.local.s3_server import EmbeddedS3
    from skyclass.storage.s3 import ObjectStore

    with EmbeddedS3(HomeSettings().home, port) as access:
        ObjectStore(load_settings()).make_buckets()
        for name, value in access.environment().items():
            print(f"export {name}={value}", flush=True)  # noqa: T201 - for `eval`, unstyled
        err.print("Running; other skyclass commands use it automatically. Stop with Ctrl-C.")
        _wait_for_signal()


def _wait_for_signal() -> None:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()


def _print_demo(result: "DemoResult", seconds: float) -> None:
    title = f"{result.mode} mode, {'simulated' if result.synthetic else 'your own'} objects"
    table = Table(title=title, box=None, title_justify="left", padding=(0, 2, 0, 0))
    for heading in ("survey change", "objects", "accuracy", "verdict", "release"):
        table.add_column(heading, justify="right" if heading in ("objects", "accuracy") else "left")
    for phase in result.phases:
        table.add_row(
            phase.name,
            f"{phase.objects:,}",
            f"{phase.accuracy:.1%}",
            str(phase.verdict),
            phase.release[:12],
        )
    out.print()
    out.print(table)
    outcome = "was promoted" if result.promoted else "was not promoted"
    line = f"\nThe release of the second training {outcome}: {result.verdict}."
    out.print(line, highlight=False, soft_wrap=True)
    out.print(f"Finished in {seconds:.0f} s. Open the reports in a browser:", highlight=False)
    for report in (*result.training_reports, *(phase.report for phase in result.phases)):
        out.print(f"  {report}", highlight=False, soft_wrap=True)
