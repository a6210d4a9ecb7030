"""Submits the training pipeline to a KFP backend: now, or again and again."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import kfp_server_api as api

from pipelines.arguments import typed
from pipelines.backend import Backend
from pipelines.backend_errors import BackendError
from pipelines.compile import Package, training_package

EXPERIMENT = "skyclass"
"""KFP keeps runs in experiments; all of ours are in this one."""

_CRON_FIELDS = 6


@dataclass(frozen=True)
class Submitted:
    """A run on a KFP backend.

    Attributes:
        run_id: Its id.
        link: Where people see it.
        version: The version of the pipeline, named after its content.
        state: In KFP's words; what it was when last asked.
    """

    run_id: str
    link: str
    version: str
    state: str


@dataclass(frozen=True)
class Scheduled:
    """A recurring run on a KFP backend.

    Attributes:
        recurring_run_id: Its id.
        link: Where people see it.
        version: The version of the pipeline that it runs until it is scheduled anew.
        cron: When, in UTC.
    """

    recurring_run_id: str
    link: str
    version: str
    cron: str


def connect(host: str | None, namespace: str | None = None) -> Backend:
    """Prepare for a backend.

    Args:
        host: Its address; else KF_PIPELINES_ENDPOINT says it.
        namespace: Of the user, where KFP has several.

    Raises:
        BackendError: The address is missing or none, or the token cannot be read.
    """
    host = host or os.environ.get("KF_PIPELINES_ENDPOINT")
    if not host:
        raise BackendError(
            "no KFP is named: say --host, or set KF_PIPELINES_ENDPOINT, to the address of its user "
            "interface or its API"
        )
    if not host.startswith(("http://", "https://")):
        raise BackendError(f"{host!r} is no address: begin it with http:// or https://")
    path = os.environ.get("KF_PIPELINES_SA_TOKEN_PATH")
    try:
        token = Path(path).read_text().strip() if path else None
    except OSError as error:
        raise BackendError(
            f"no token at {path} ({error.strerror}): correct or unset KF_PIPELINES_SA_TOKEN_PATH"
        ) from error
    return Backend(host, namespace, token)


def submit(
    backend: Backend, parameters: Mapping[str, str], service_account: str | None = None
) -> Submitted:
    """Start a run of the training pipeline; upload this version of it when KFP has it not.

    Args:
        backend: The backend.
        parameters: Arguments of the pipeline as typed; the others keep their defaults.
        service_account: Of the run; else KFP's default.

    Raises:
        TrainingError: A parameter is unknown or malformed.
        BackendError: The backend cannot be reached, or refuses.
    """
    arguments = typed(parameters)
    package = training_package()
    run_id = backend.start(
        display_name=f"{package.name} {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
        experiment_id=backend.experiment(EXPERIMENT),
        pipeline_version_reference=_uploaded(backend, package),
        runtime_config=api.V2beta1RuntimeConfig(parameters=arguments),
        service_account=service_account,
    )
    link = f"{_pages_host(backend)}/#/runs/details/{run_id}"
    return Submitted(run_id, link, package.version, "PENDING")


def schedule(
    backend: Backend,
    parameters: Mapping[str, str],
    cron: str,
    name: str = "skyclass-training",
    service_account: str | None = None,
) -> Scheduled:
    """Have the training pipeline run again and again, one run at a time.

    What was scheduled under the same name is replaced: KFP cannot change a recurring run. Runs that
    were missed, while KFP was down or the schedule disabled, are not made up for.

    Args:
        backend: The backend.
        parameters: Arguments of the pipeline as typed; the others keep their defaults.
        cron: When, in UTC: second, minute, hour, day, month, weekday.
        name: What the recurring run is called.
        service_account: Of the runs; else KFP's default.

    Raises:
        TrainingError: A parameter is unknown or malformed.
        BackendError: The schedule is malformed, or the backend cannot be reached, or refuses.
    """
    if len(cron.split()) != _CRON_FIELDS:
        raise BackendError(
            f"{cron!r} is no schedule: write six fields, the seconds first, like '0 0 3 * * *' "
            "for every day at 3 o'clock UTC"
        )
    arguments = typed(parameters)
    package = training_package()
    version = _uploaded(backend, package)
    experiment = backend.experiment(EXPERIMENT)
    replaced = backend.scheduled(name, experiment)
    made = backend.schedule(
        display_name=name,
        experiment_id=experiment,
        pipeline_version_reference=version,
        runtime_config=api.V2beta1RuntimeConfig(parameters=arguments),
        trigger=api.V2beta1Trigger(cron_schedule=api.V2beta1CronSchedule(cron=cron)),
        mode=api.RecurringRunMode.ENABLE,
        no_catchup=True,
        max_concurrency="1",
        service_account=service_account,
    )
    for old in replaced:  # only now, so that a schedule that is refused costs nothing
        backend.unschedule(old)
    return Scheduled(
        made, f"{_pages_host(backend)}/#/recurringrun/details/{made}", package.version, cron
    )


def _uploaded(backend: Backend, package: Package) -> api.V2beta1PipelineVersionReference:
    description = package.pipeline["pipelineInfo"]["description"]
    pipeline = backend.pipeline(package.name, description)
    version = backend.version(pipeline, package.version)
    if version is None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "training.yaml"
            file.write_text(package.text())
            version = backend.upload(pipeline, package.version, str(file))
    return api.V2beta1PipelineVersionReference(pipeline_id=pipeline, pipeline_version_id=version)


def _pages_host(backend: Backend) -> str:
    """Where people look, when that is not where programs ask."""
    return os.environ.get("KF_PIPELINES_UI_ENDPOINT", backend.host).rstrip("/")
