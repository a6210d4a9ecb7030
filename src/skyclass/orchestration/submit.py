"""Runs and schedules of the training pipeline on a KFP backend."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kfp_server_api as api

from skyclass.orchestration.arguments import parse_training_arguments
from skyclass.orchestration.backend import Backend
from skyclass.orchestration.backend_errors import BackendError
from skyclass.orchestration.package import TRAINING, Package, load_package
from skyclass.urls import normalize_scheme, omit_credentials

EXPERIMENT = "skyclass"
"""KFP experiment of all runs."""

_CRON_FIELDS = 6


@dataclass(frozen=True)
class SubmittedRun:
    """A run on a KFP backend.

    Attributes:
        run_id: Id of the run.
        link: Address of its page in KFP's user interface.
        version: Pipeline version, named after its content.
        state: KFP's state when last requested.
    """

    run_id: str
    link: str
    version: str
    state: str


@dataclass(frozen=True)
class RecurringRun:
    """A schedule on a KFP backend.

    Attributes:
        recurring_run_id: Id of the recurring run.
        link: Address of its page in KFP's user interface.
        version: Pipeline version that it runs until it is replaced.
        cron: Six-field schedule in UTC.
    """

    recurring_run_id: str
    link: str
    version: str
    cron: str


def connect(host: str | None, namespace: str | None = None) -> Backend:
    """Return a client of a backend, configured by the variables that KFP's own tools use.

    Args:
        host: Base URL; None for KF_PIPELINES_ENDPOINT.
        namespace: Namespace of the user, on a multi-user KFP.

    Raises:
        BackendError: There is no address, or the token file is unreadable.
    """
    host = host or os.environ.get("KF_PIPELINES_ENDPOINT")
    if not host:
        raise BackendError(
            "no KFP address: pass --host or set KF_PIPELINES_ENDPOINT to the URL of its user "
            "interface or API"
        )
    if not normalize_scheme(host).startswith(("http://", "https://")):
        raise BackendError(
            f"KFP address is {omit_credentials(host)!r}: begin it with http:// or https://"
        )
    token_file = os.environ.get("KF_PIPELINES_SA_TOKEN_PATH")
    try:
        token = Path(token_file).read_text().strip() if token_file else None
    except OSError as error:
        raise BackendError(
            f"token file {token_file} is unreadable ({error.strerror}): correct or "
            "unset KF_PIPELINES_SA_TOKEN_PATH"
        ) from error
    return Backend(host, namespace, token)


def submit_run(
    backend: Backend,
    parameters: Mapping[str, str],
    service_account: str | None = None,
    name: str | None = None,
) -> SubmittedRun:
    """Start a run of the training pipeline; upload this version of it if KFP does not have it.

    Args:
        backend: Client of the backend.
        parameters: Pipeline arguments as text; the others keep their defaults.
        service_account: ServiceAccount of the run's pods; None for KFP's default.
        name: Distinguishes the run for `find_run`; None for the current time.

    Raises:
        TrainingError: A parameter is unknown or malformed.
        BackendError: The backend is unreachable or rejected the request.
    """
    package = load_package(TRAINING)
    arguments = parse_training_arguments(package, parameters)
    name = name or f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    run_id = backend.create_run(
        display_name=f"{package.name} {name}",
        experiment_id=backend.ensure_experiment(EXPERIMENT),
        pipeline_version_reference=_ensure_version(backend, package),
        runtime_config=api.V2beta1RuntimeConfig(parameters=arguments),
        service_account=service_account,
    )
    return SubmittedRun(run_id, _make_run_link(backend, run_id), package.version, "PENDING")


def find_run(backend: Backend, name: str) -> SubmittedRun | None:
    """Return the run that was submitted under a name, or None.

    Raises:
        BackendError: The backend is unreachable or rejected the request.
    """
    package = load_package(TRAINING)
    run_id = backend.find_run(backend.ensure_experiment(EXPERIMENT), f"{package.name} {name}")
    if run_id is None:
        return None
    return SubmittedRun(run_id, _make_run_link(backend, run_id), package.version, "PENDING")


def schedule_runs(
    backend: Backend,
    parameters: Mapping[str, str],
    cron: str,
    service_account: str | None = None,
) -> RecurringRun:
    """Run the training pipeline on a schedule, one run at a time.

    Each mode has one schedule. A schedule of the same mode is replaced, because KFP cannot update a
    recurring run. Runs missed while KFP was down or the schedule disabled are not caught up.

    Args:
        backend: Client of the backend.
        parameters: Pipeline arguments as text; the others keep their defaults.
        cron: Schedule in UTC: second, minute, hour, day, month, weekday.
        service_account: ServiceAccount of the runs' pods; None for KFP's default.

    Raises:
        TrainingError: A parameter is unknown or malformed.
        BackendError: The schedule is malformed, or the backend is unreachable or rejected it.
    """
    if len(cron.split()) != _CRON_FIELDS:
        raise BackendError(
            f"schedule is {cron!r}: expected six fields, seconds first, such as '0 0 3 * * *' for "
            "every day at 03:00 UTC"
        )
    package = load_package(TRAINING)
    arguments = parse_training_arguments(package, parameters)
    version = _ensure_version(backend, package)
    experiment_id = backend.ensure_experiment(EXPERIMENT)
    mode = _get_mode(package, arguments)
    replaced = [
        each.id
        for each in backend.list_recurring_runs(experiment_id)
        # Version 0.1.0 named the schedules of both modes after the pipeline.
        if each.name in (f"{package.name}-{mode}", package.name)
        and _get_mode(package, each.parameters) == mode
    ]
    created = backend.create_recurring_run(
        display_name=f"{package.name}-{mode}",
        experiment_id=experiment_id,
        pipeline_version_reference=version,
        runtime_config=api.V2beta1RuntimeConfig(parameters=arguments),
        trigger=api.V2beta1Trigger(cron_schedule=api.V2beta1CronSchedule(cron=cron)),
        mode=api.RecurringRunMode.ENABLE,
        no_catchup=True,
        max_concurrency="1",
        service_account=service_account,
    )
    for old in replaced:  # after the creation, so that a rejected schedule keeps the previous one
        backend.delete_recurring_run(old)
    link = f"{_ui_address(backend)}/#/recurringrun/details/{created}"
    return RecurringRun(created, link, package.version, cron)


def _get_mode(package: Package, arguments: Mapping[str, Any]) -> Any:
    return arguments.get("mode", package.parameters["mode"].default)


def _ensure_version(backend: Backend, package: Package) -> api.V2beta1PipelineVersionReference:
    pipeline_id = backend.ensure_pipeline(package.name, package.description)
    version_id = backend.find_version(pipeline_id, package.version)
    if version_id is None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "training.yaml"
            file.write_text(package.text)
            version_id = backend.upload_version(pipeline_id, package.version, str(file))
    return api.V2beta1PipelineVersionReference(
        pipeline_id=pipeline_id, pipeline_version_id=version_id
    )


def _make_run_link(backend: Backend, run_id: str) -> str:
    return f"{_ui_address(backend)}/#/runs/details/{run_id}"


def _ui_address(backend: Backend) -> str:
    address = os.environ.get("KF_PIPELINES_UI_ENDPOINT", backend.host)
    return normalize_scheme(omit_credentials(address)).rstrip("/")
