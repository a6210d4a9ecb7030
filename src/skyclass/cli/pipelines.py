"""Commands for pipelines: `run` on this machine, `submit` to a KFP backend."""

from dataclasses import asdict
from typing import Annotated

import typer

from skyclass.cli.options import AsJson, Parameters, parse_parameters
from skyclass.cli.output import err, print_result
from skyclass.settings import load_settings

app = typer.Typer()
_PANEL = "Pipelines"

run_app = typer.Typer(no_args_is_help=True)
app.add_typer(run_app, name="run", help="Run a pipeline on this machine.", rich_help_panel=_PANEL)
submit_app = typer.Typer(no_args_is_help=True)
app.add_typer(
    submit_app, name="submit", help="Run a pipeline on a KFP backend.", rich_help_panel=_PANEL
)


@run_app.command("training")
def run_training(param: Parameters = None, as_json: AsJson = False) -> None:
    """Run the training pipeline with KFP's local runner."""
    from skyclass.orchestration import local_runner

    with err.status("running the training pipeline"):
        run = local_runner.run_training(
            parse_parameters(param),
            load_settings().home / "runs",
            lambda step: err.print(f"step {step}"),
        )
    print_result({**asdict(run), "log": str(run.log)}, as_json)


@submit_app.command("training")
def submit_training(
    param: Parameters = None,
    host: Annotated[
        str | None,
        typer.Option(help="URL of the KFP API or user interface; default: $KF_PIPELINES_ENDPOINT."),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Namespace of the run, where KFP serves several users.")
    ] = None,
    service_account: Annotated[
        str | None, typer.Option(help="Service account of the run; default: KFP's own.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the result of the run.")] = False,
    deadline: Annotated[
        int, typer.Option(help="Time to wait at most, in seconds; used with --wait.")
    ] = 6 * 3600,
    cron: Annotated[
        str | None,
        typer.Option(help="Create a recurring run: six cron fields, seconds first, in UTC."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the training pipeline on a KFP backend, once or on a schedule."""
    from skyclass.orchestration import submit
    from skyclass.orchestration.wait import wait_for_run

    if cron and wait:
        raise typer.BadParameter("a recurring run never ends: drop --cron", param_hint="--wait")
    parameters = parse_parameters(param)
    backend = submit.connect(host, namespace)
    if cron:
        recurring = submit.schedule_runs(backend, parameters, cron, service_account=service_account)
        print_result(asdict(recurring), as_json)
        return
    run = submit.submit_run(backend, parameters, service_account)
    if wait:
        err.print(f"run {run.link}", highlight=False, soft_wrap=True)
        run = wait_for_run(backend, run, deadline, lambda state: err.print(f"state {state}"))
    print_result(asdict(run), as_json)
