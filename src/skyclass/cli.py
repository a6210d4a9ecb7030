"""The command line: a thin shell over the rooms of the library.

Results go to standard output, progress and logs to standard error. Exit status: 0 done; 1 could
not be done, one line says why and what to do; 2 wrong usage.
"""

import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from skyclass.errors import MonitoringError, SkyclassError
from skyclass.local.progress import Teller
from skyclass.logs import start_logging
from skyclass.settings import HomeSettings, load_settings
from skyclass.survey.features import Mode

if TYPE_CHECKING:
    from skyclass.local.demo import Story
    from skyclass.monitoring.retraining import Decision
    from skyclass.promotion.champions import Champions
    from skyclass.registry.releases import Registry, Release
    from skyclass.storage.s3 import ObjectStore

app = typer.Typer(
    help="Classify SDSS objects, and keep the classifier honest.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
run_app = typer.Typer(help="Run a pipeline on this machine.", no_args_is_help=True)
app.add_typer(run_app, name="run")
submit_app = typer.Typer(help="Run a pipeline on a KFP backend.", no_args_is_help=True)
app.add_typer(submit_app, name="submit")
releases_app = typer.Typer(help="List releases, or show one.", invoke_without_command=True)
app.add_typer(releases_app, name="releases")

out = Console()
err = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
TIMES = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--param", help="name=value, as in the run form; repeatable."),
]


class Retrain(StrEnum):
    """Where the training pipeline runs when drift lasts."""

    NEVER = "never"
    HERE = "here"
    KFP = "kfp"


ModeOption = Annotated[Mode, typer.Option(help="Which measurements the model sees.")]


def main() -> None:
    """Run the command line; a foreseen failure is one line and status 1."""
    # Gradient boosting is many times slower with a thread per core beside other work, and the
    # libraries that it is linked with read this once, when they are loaded.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    start_logging()
    try:
        app()
    except SkyclassError as error:
        err.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


@app.command()
def s3(
    port: Annotated[int | None, typer.Option(help="Port of the endpoint; else a free one.")] = None,
) -> None:
    """Run the embedded S3 server below the home folder, and print its settings."""
    from skyclass.local.s3_server import EmbeddedS3
    from skyclass.storage.s3 import ObjectStore

    with EmbeddedS3(HomeSettings().home, port) as access:
        ObjectStore(load_settings()).make_buckets()
        for name, value in access.environment().items():
            print(f"export {name}={value}", flush=True)  # noqa: T201 - for `eval`, unstyled
        err.print("Running; other skyclass commands find it by themselves. Ctrl-C stops it.")
        _wait_for_signal()


@app.command()
def ingest(uri: str, as_json: AsJson = False) -> None:
    """Bring the observations of a source into the table."""
    from skyclass.ingest.step import ingest_step

    with err.status(f"reading {uri}") as status:
        done = ingest_step(
            load_settings(), uri, lambda rows: status.update(f"reading {uri}: {rows:,} rows")
        )
    _show(asdict(done), as_json)


@app.command()
def eda(
    uri: str,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Else below the home folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explore a source: what its rows look like by class and by era, as a page."""
    from skyclass.training.exploration import explore
    from skyclass.training.steps.explore import sample_step

    with err.status(f"reading {uri}"):
        found = sample_step(load_settings(), uri)
        page = output or HomeSettings().home / "exploration.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(explore(found))
    _show({"rows": found.rows_in, "unfit": found.rejected, "report": str(page)}, as_json)


@run_app.command()
def training(param: Parameters = None, as_json: AsJson = False) -> None:
    """Run the training pipeline in KFP's local runner."""
    _pipelines_importable()
    from pipelines.local import run_training

    with err.status("running the training pipeline"):
        done = run_training(
            _pairs(param), load_settings().home / "runs", lambda step: err.print(f"step {step}")
        )
    _show({**asdict(done), "log": str(done.log)}, as_json)


@submit_app.command("training")
def submit_training(
    param: Parameters = None,
    host: Annotated[
        str | None, typer.Option(help="KFP's address; else KF_PIPELINES_ENDPOINT.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Of the user, where KFP has several.")
    ] = None,
    service_account: Annotated[
        str | None, typer.Option(help="Of the run; else KFP's default.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until the run has ended.")] = False,
    deadline: Annotated[int, typer.Option(help="Seconds to wait at most.")] = 6 * 3600,
    cron: Annotated[
        str | None, typer.Option(help="Run again and again: six fields, seconds first, in UTC.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the training pipeline on a KFP backend, now or on a schedule."""
    _pipelines_importable()
    from pipelines import submit, waiting

    if cron and wait:
        raise typer.BadParameter("a schedule has no end to wait for", param_hint="--wait")
    given = _pairs(param)
    backend = submit.connect(host, namespace)
    if cron:
        scheduled = submit.schedule(backend, given, cron, service_account=service_account)
        _show(asdict(scheduled), as_json)
        return
    run = submit.submit(backend, given, service_account)
    if wait:
        err.print(f"run {run.link}", highlight=False, soft_wrap=True)
        run = waiting.wait(backend, run, deadline, lambda state: err.print(f"state {state}"))
    _show(asdict(run), as_json)


@releases_app.callback()
def releases(
    context: typer.Context,
    mode: Annotated[Mode | None, typer.Option(help="Only releases of this mode.")] = None,
    as_json: AsJson = False,
) -> None:
    """List releases, the oldest first, the champion marked."""
    if context.invoked_subcommand:
        return
    registry, leading = _registry(), _champions()
    found = {each: registry.releases(each) for each in ([mode] if mode else Mode)}
    champion_ids = {leader.id for each in found if (leader := leading.champion(each))}
    if as_json:
        _print_json(
            [
                {
                    "id": release.id,
                    "champion": release.id in champion_ids,
                    **release.manifest.model_dump(mode="json"),
                }
                for listed in found.values()
                for release in listed
            ]
        )
        return
    if not any(found.values()):
        err.print("There is no release yet: `skyclass run training` makes one.")
    for each, listed in found.items():
        if listed:
            _show_releases(each, listed, champion_ids)


@releases_app.command()
def show(release: str) -> None:
    """Print a release's manifest."""
    found = _registry().find(release)
    _print_json({"id": found.id, **found.manifest.model_dump(mode="json")})


@app.command()
def promote(
    release: str,
    reason: Annotated[str, typer.Option(help="Kept with the promotion.")] = "by hand",
    as_json: AsJson = False,
) -> None:
    """Make a release the champion of its mode."""
    found = _registry().find(release)
    with err.status(f"promoting {found.id[:12]}"):
        event = _champions().promote(found, reason, load_settings().run_id)
    _show(event.model_dump(mode="json"), as_json)


@app.command()
def rollback(
    mode: ModeOption = Mode.SPECTROSCOPIC,
    reason: Annotated[str, typer.Option(help="Kept with the promotion.")] = "rolled back by hand",
    as_json: AsJson = False,
) -> None:
    """Make the champion's predecessor champion again."""
    leading = _champions()
    with err.status(f"rolling back {mode}"):
        event = leading.promote(leading.predecessor(mode), reason, load_settings().run_id)
    _show(event.model_dump(mode="json"), as_json)


@app.command()
def serve(
    mode: ModeOption = Mode.SPECTROSCOPIC,
    release: Annotated[
        str | None, typer.Option(help="A folder or an s3:// address; else follow the champion.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Where to listen; else a free port.")] = None,
    host: Annotated[str, typer.Option(help="Which interface to listen on.")] = "127.0.0.1",
    grpc_port: Annotated[
        int | None, typer.Option(help="Where gRPC listens; else a free port.")
    ] = None,
) -> None:
    """Serve a model until it is told to stop."""
    from skyclass.serving.server import serve as serve_model

    serve_model(load_settings(), mode, release, port, host, grpc_port)


@app.command()
def predict(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet with one column per input.")],
    mode: ModeOption = Mode.SPECTROSCOPIC,
    url: Annotated[str, typer.Option(help="The predictor.")] = "http://127.0.0.1:8080",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="CSV or Parquet; else CSV is printed.")
    ] = None,
) -> None:
    """Classify the objects of a file through the endpoint."""
    from skyclass.client import Client
    from skyclass.tables.objects import SUFFIXES, read_objects, write_predictions

    if output and output.suffix not in SUFFIXES:
        raise typer.BadParameter(f"{output}: end it with {' or '.join(SUFFIXES)}", param_hint="-o")
    rows = read_objects(file)
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task("classifying", total=len(rows))
        answers = Client(url, mode).classify(rows, lambda done: bar.update(task, completed=done))
    write_predictions(rows.join(answers), output or sys.stdout)
    if output:
        err.print(f"{len(rows):,} objects classified: see {output}")


@app.command()
def score(
    uri: str,
    mode: ModeOption = Mode.SPECTROSCOPIC,
    release: Annotated[str, typer.Option(help="A release; else the champion.")] = "champion",
    shard: Annotated[str, typer.Option(help="A part of the input, like 0/4.")] = "0/1",
    as_json: AsJson = False,
) -> None:
    """Score what a release has not yet scored of `table:`, a Delta table or Parquet files."""
    from skyclass.scoring.steps import score_step

    with err.status(f"scoring {uri}") as status:
        done = score_step(
            load_settings(),
            uri,
            mode,
            release,
            shard,
            lambda rows: status.update(f"scoring {uri}: {rows:,} rows"),
        )
    _show(asdict(done), as_json)


@app.command()
def drift(
    mode: ModeOption = Mode.SPECTROSCOPIC,
    start: Annotated[datetime | None, typer.Option(formats=TIMES, help="UTC, included.")] = None,
    end: Annotated[datetime | None, typer.Option(formats=TIMES, help="UTC, excluded.")] = None,
    retrain: Annotated[
        Retrain, typer.Option(help="Where to train again when drift lasts.")
    ] = Retrain.NEVER,
    as_json: AsJson = False,
) -> None:
    """Judge one window of the prediction log; without bounds, yesterday's.

    Then bring the labels that have arrived to the windows of the last two weeks, and with --retrain
    decide whether to train again, roll back or wait.
    """
    from skyclass.monitoring.drift import run_drift
    from skyclass.monitoring.measuring import measure_windows
    from skyclass.monitoring.verdict import Verdict
    from skyclass.storage.s3 import ObjectStore

    store, served = ObjectStore(load_settings()), _champions()
    with err.status("judging the window"):
        result = run_drift(store, served, mode, _utc(start), _utc(end))
    with err.status("looking for labels"):
        measure_windows(store, served, mode)
    found = result.verdict
    decision = _close_loop(store, served, mode, retrain) if retrain is not Retrain.NEVER else None
    if as_json:
        _print_json(
            {
                **found.model_dump(mode="json"),
                **({"decision": decision.model_dump(mode="json")} if decision else {}),
            }
        )
    else:
        where = f"s3://{store.settings.reports_bucket}/{result.prefix}"
        window = f"{found.window_start:%Y-%m-%d %H:%M} to {found.window_end:%Y-%m-%d %H:%M} UTC"
        _show(
            {
                "verdict": found.verdict,
                "reason": found.reason,
                "mode": found.mode,
                "window": window,
                "rows": found.accounting.rows_used,
                "release": found.release,
                "report": f"{where}report.html",
                **({decision.action: decision.reason} if decision else {}),
            },
            as_json=False,
        )
    if found.verdict is Verdict.ERROR:
        raise MonitoringError(found.reason)


@app.command()
def monitor(
    host: Annotated[str, typer.Option(help="Which interface to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Where to listen.")] = 8000,
    root_path: Annotated[str, typer.Option(help="The path that a proxy puts it below.")] = "",
) -> None:
    """Show in a browser what monitoring found, measured and decided."""
    from skyclass.apps.monitor.server import serve as serve_monitor

    settings = load_settings()
    err.print(f"The monitor page: http://{host}:{port}{root_path}/", highlight=False)
    serve_monitor(settings, host, port, root_path)


@app.command()
def predict_page(
    spectroscopic: Annotated[
        str, typer.Option(help="Where the model that sees the redshift answers.")
    ] = "http://127.0.0.1:8080",
    photometric: Annotated[
        str, typer.Option(help="Where the model that does not answers.")
    ] = "http://127.0.0.1:8081",
    host: Annotated[str, typer.Option(help="Which interface to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Where to listen.")] = 8001,
    root_path: Annotated[str, typer.Option(help="The path that a proxy puts it below.")] = "",
) -> None:
    """Classify objects in a browser, through the endpoints."""
    from skyclass.apps.predict.server import serve as serve_predictions

    addresses = {Mode.SPECTROSCOPIC: spectroscopic, Mode.PHOTOMETRIC: photometric}
    err.print(f"The prediction page: http://{host}:{port}{root_path}/", highlight=False)
    serve_predictions(addresses, host, port, root_path)


@app.command()
def demo(
    source: Annotated[str | None, typer.Option(help="Your own objects; else simulated.")] = None,
    mode: ModeOption = Mode.SPECTROSCOPIC,
    as_json: AsJson = False,
) -> None:
    """Tell the whole story on this machine: train, serve, drift, learn again."""
    _pipelines_importable()
    from pipelines.local import run_training
    from skyclass.local.demo import DEFAULT_SOURCE, tell
    from skyclass.local.s3_server import EmbeddedS3

    home = HomeSettings().home / "demo"
    shutil.rmtree(home, ignore_errors=True)  # each telling starts from nothing
    begun = time.monotonic()
    teller = Teller(err)
    start_logging(logging.WARNING)  # the teller says the same in fewer words
    teller.begin("Starting the S3 server")
    # Its settings must reach the steps of the pipeline and the predictor, which are processes.
    os.environ["SKYCLASS_HOME"] = str(home)
    with EmbeddedS3(home) as access, teller:
        os.environ.update(access.environment())
        teller.done(f"it answers at {access.endpoint_url}")
        story = tell(load_settings(), source or DEFAULT_SOURCE, mode, run_training, teller)
    if as_json:
        _print_json(asdict(story))
    else:
        _show_story(story, time.monotonic() - begun)


def _show_story(story: "Story", seconds: float) -> None:
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
    out.print(f"Told in {seconds:.0f} s. Open in a browser:", highlight=False)
    for report in (*story.training_reports, *(scene.report for scene in story.scenes)):
        out.print(f"  {report}", highlight=False, soft_wrap=True)


def _close_loop(
    store: "ObjectStore", served: "Champions", mode: Mode, where: Retrain
) -> "Decision":
    _pipelines_importable()
    from pipelines.retraining import KfpTrainer, LocalTrainer
    from pipelines.submit import connect
    from skyclass.monitoring.loop import Trainer, close_loop
    from skyclass.monitoring.settings import load_retraining_settings

    options, now = load_retraining_settings(), datetime.now(UTC)
    trainer: Trainer
    if where is Retrain.KFP:
        trainer = KfpTrainer(connect(None))
    else:
        trainer = LocalTrainer(store.settings.home / "runs")
    with err.status("closing the loop"):
        return close_loop(store, served, mode, trainer, options, now)


def _show_releases(mode: Mode, releases: "list[Release]", champion_ids: set[str]) -> None:
    table = Table(
        title=f"{mode} (* champion)", title_justify="left", box=None, padding=(0, 1, 0, 0)
    )
    for heading in ("", "release", "published (UTC)"):
        table.add_column(heading, no_wrap=True)
    table.add_column("candidate", overflow="fold")
    for heading in ("rows", "accuracy", "macro-F1", "temporal"):
        table.add_column(heading, justify="right", no_wrap=True)
    for release in releases:
        manifest = release.manifest
        random = manifest.metrics["random_holdout"]
        temporal = manifest.metrics.get("temporal_holdout")
        table.add_row(
            "*" if release.id in champion_ids else "",
            release.id[:12],
            f"{manifest.created_at:%Y-%m-%d %H:%M}",
            manifest.candidate,
            f"{manifest.training_set.rows:,}",
            f"{random.accuracy:.4f}",
            f"{random.macro_f1:.4f}",
            f"{temporal.macro_f1:.4f}" if temporal else "-",
        )
    out.print(table)


def _registry() -> "Registry":
    from skyclass.registry.releases import Registry
    from skyclass.storage.s3 import ObjectStore

    return Registry(ObjectStore(load_settings()))


def _champions() -> "Champions":
    from skyclass.promotion.champions import champions

    return champions(load_settings())


def _utc(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time else None


def _pairs(texts: list[str] | None) -> dict[str, str]:
    pairs = {}
    for text in texts or []:
        name, found, value = text.partition("=")
        if not found:
            raise typer.BadParameter(f"{text!r}: write name=value", param_hint="--param")
        pairs[name.strip()] = value
    return pairs


def _pipelines_importable() -> None:
    """The pipelines lie beside the library: in the repository's root, in /app in the image."""
    root = str(Path(os.environ.get("SKYCLASS_ROOT", Path(__file__).resolve().parents[2])))
    if root not in sys.path:
        sys.path.insert(0, root)


def _wait_for_signal() -> None:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()


def _show(result: dict[str, Any], as_json: bool) -> None:
    """Print a result: as JSON, or as one line a field, however narrow the terminal is."""
    if as_json:
        _print_json(result)
        return
    width = max(len(name) for name in result)
    for name, value in result.items():
        text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value
        line = f"{name.replace('_', ' '):<{width}}  {text}"
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _print_json(result: Any) -> None:
    print(json.dumps(result, indent=2, default=str))  # noqa: T201 - the result, unstyled
