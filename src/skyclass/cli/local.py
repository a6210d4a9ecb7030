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

from skyclass.cli.options import AsJson, ModeOption
from skyclass.cli.output import err, out, print_json
from skyclass.logs import start_logging
from skyclass.settings import HomeSettings, load_settings
from skyclass.survey.features import Mode

if TYPE_CHECKING:
    from skyclass.local.demo import Story

app = typer.Typer()
_PANEL = "This machine"


@app.command(rich_help_panel=_PANEL)
def demo(
    source: Annotated[
        str | None, typer.Option(help="URI of observations; default: simulated ones.")
    ] = None,
    mode: ModeOption = Mode.SPECTROSCOPIC,
    as_json: AsJson = False,
) -> None:
    """Train, serve, detect drift and retrain on this machine."""
    from skyclass.local.demo import DEFAULT_SOURCE, tell
    from skyclass.local.progress import Teller
    from skyclass.local.s3_server import EmbeddedS3
    from skyclass.orchestration.local_runner import run_training

    home = HomeSettings().home / "demo"
    shutil.rmtree(home, ignore_errors=True)  # each demo starts empty
    begun = time.monotonic()
    teller = Teller(err)
    start_logging(logging.WARNING)  # the progress reporter covers what INFO would say
    teller.begin("Starting the S3 server")
    # The pipeline's steps and the predictor are processes: they read these settings.
    os.environ["SKYCLASS_HOME"] = str(home)
    with EmbeddedS3(home) as access, teller:
        os.environ.update(access.environment())
        teller.done(f"listening at {access.endpoint_url}")
        story = tell(load_settings(), source or DEFAULT_SOURCE, mode, run_training, teller)
    if as_json:
        print_json(asdict(story))
    else:
        _print_story(story, time.monotonic() - begun)


@app.command(rich_help_panel=_PANEL)
def s3(
    port: Annotated[
        int | None, typer.Option(help="Port of the S3 endpoint; default: a free port.")
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


def _print_story(story: "Story", seconds: float) -> None:
    title = f"{story.mode} mode, {'simulated' if story.synthetic else 'your own'} objects"
    table = Table(title=title, box=None, title_justify="left", padding=(0, 2, 0, 0))
    for heading in ("", "objects", "accuracy", "verdict", "release"):
        table.add_column(heading, justify="right" if heading in ("objects", "accuracy") else "left")
    for scene in story.scenes:
        table.add_row(
            f"{scene.name} the survey moved on",
            f"{scene.objects:,}",
            f"{scene.accuracy:.1%}",
            str(scene.verdict),
            scene.release[:12],
        )
    out.print()
    out.print(table)
    outcome = "was promoted" if story.promoted else "was not promoted"
    out.print(f"\nThe challenger {outcome}: {story.verdict}.", highlight=False)
    out.print(f"Finished in {seconds:.0f} s. Open in a browser:", highlight=False)
    for report in (*story.training_reports, *(scene.report for scene in story.scenes)):
        out.print(f"  {report}", highlight=False, soft_wrap=True)
