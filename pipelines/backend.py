"""The few calls of KFP's API that a submission needs, each with a deadline.

KFP's own `Client` has no deadlines, prints beside the result, keeps a file in the user's home, and
waits for ever for a run that was cancelled; this is the client below it, generated from the API.
"""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import kfp_server_api as api
import urllib3

from pipelines.backend_errors import NotFoundError, one_line, refusal, silence, stranger

DEADLINES = (5.0, 30.0)
"""Seconds to connect, and to answer."""

_RETRIES = 2
_PAGE = 100


@dataclass(frozen=True)
class Run:
    """How a run stands.

    Attributes:
        state: In KFP's words, like RUNNING or SUCCEEDED.
        failed: Names of the nodes that failed.
        message: What KFP says about it, if anything.
    """

    state: str
    failed: tuple[str, ...]
    message: str


class Backend:
    """A KFP backend, or its user interface, which passes the API on."""

    def __init__(
        self,
        host: str,
        namespace: str | None = None,
        token: str | None = None,
        deadlines: tuple[float, float] = DEADLINES,
    ) -> None:
        """Prepare a client.

        Args:
            host: Its address, like http://127.0.0.1:8080.
            namespace: Of the user, where KFP has several.
            token: Proves who asks, where KFP wants to know.
            deadlines: Seconds to connect, and to answer.
        """
        self.host = host.rstrip("/")
        self._namespace = namespace
        self._deadlines = deadlines
        settings = api.Configuration(host=self.host)
        settings.retries = _RETRIES
        settings.logger["urllib3_logger"].setLevel(logging.ERROR)  # it warns of every retry
        if token:
            settings.api_key = {"authorization": token}
            settings.api_key_prefix = {"authorization": "Bearer"}
        client = api.ApiClient(settings)
        self._pipelines = api.PipelineServiceApi(client)
        self._uploads = api.PipelineUploadServiceApi(client)
        self._experiments = api.ExperimentServiceApi(client)
        self._runs = api.RunServiceApi(client)
        self._recurring = api.RecurringRunServiceApi(client)

    def pipeline(self, name: str, description: str) -> str:
        """Find a pipeline by its name, or make one without a version. Returns its id."""
        named = {"namespace": self._namespace} if self._namespace else {}
        try:
            found = self._call(self._pipelines.pipeline_service_get_pipeline_by_name, name, **named)
        except NotFoundError:
            wanted = api.V2beta1Pipeline(
                name=name, display_name=name, description=description, namespace=self._namespace
            )
            found = self._call(self._pipelines.pipeline_service_create_pipeline, pipeline=wanted)
        return self._known(found.pipeline_id)

    def version(self, pipeline: str, name: str) -> str | None:
        """Find a version of a pipeline by its name. Returns its id."""
        versions = self._pages(
            self._pipelines.pipeline_service_list_pipeline_versions,
            "pipeline_versions",
            pipeline_id=pipeline,
        )
        for found in versions:
            if name in (found.name, found.display_name):
                return self._known(found.pipeline_version_id)
        return None

    def upload(self, pipeline: str, name: str, package: str) -> str:
        """Upload the package in a file as a version. Returns its id."""
        upload = self._uploads.upload_pipeline_version
        made = self._call(upload, package, name=name, pipelineid=pipeline)
        return self._known(made.pipeline_version_id)

    def experiment(self, name: str) -> str:
        """Find an experiment by its name, or make it. Returns its id."""
        predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
        filters = {"filter": json.dumps({"predicates": [predicate]})}
        if self._namespace:
            filters["namespace"] = self._namespace
        found = self._call(self._experiments.experiment_service_list_experiments, **filters)
        if found.experiments:
            return self._known(found.experiments[0].experiment_id)
        wanted = api.V2beta1Experiment(display_name=name, namespace=self._namespace)
        made = self._call(self._experiments.experiment_service_create_experiment, experiment=wanted)
        return self._known(made.experiment_id)

    def start(self, **fields: Any) -> str:
        """Start a run. Returns its id."""
        made = self._call(self._runs.run_service_create_run, run=api.V2beta1Run(**fields))
        return self._known(made.run_id)

    def run(self, run: str) -> Run:
        """Ask how a run stands."""
        found = self._call(self._runs.run_service_get_run, run)
        self._known(found.run_id)
        tasks = (found.run_details and found.run_details.task_details) or ()
        failed = tuple(str(task.display_name) for task in tasks if task.state == "FAILED")
        message = one_line(found.error.message) if found.error and found.error.message else ""
        return Run(found.state or "PENDING", failed, message)

    def schedule(self, **fields: Any) -> str:
        """Make a recurring run. Returns its id."""
        wanted = api.V2beta1RecurringRun(**fields)
        create = self._recurring.recurring_run_service_create_recurring_run
        return self._known(self._call(create, recurring_run=wanted).recurring_run_id)

    def scheduled(self, name: str, experiment: str) -> list[str]:
        """Find recurring runs of an experiment by their name. Returns their ids."""
        recurring_runs = self._pages(
            self._recurring.recurring_run_service_list_recurring_runs,
            "recurring_runs",
            experiment_id=experiment,
        )
        return [found.recurring_run_id for found in recurring_runs if found.display_name == name]

    def unschedule(self, recurring_run: str) -> None:
        """Delete a recurring run; the runs that it started stay."""
        self._call(self._recurring.recurring_run_service_delete_recurring_run, recurring_run)

    def _pages(self, call: Callable[..., Any], field: str, **filters: str) -> Iterator[Any]:
        token = ""
        while True:
            page = self._call(call, page_size=_PAGE, page_token=token, **filters)
            yield from getattr(page, field) or ()
            token = page.next_page_token
            if not token:
                return

    def _call(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            return call(*arguments, **named, _request_timeout=self._deadlines)
        except api.ApiException as error:
            raise refusal(self.host, error) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise silence(self.host, error) from error
        except (AttributeError, TypeError, ValueError) as error:  # what is no JSON of KFP's
            raise stranger(self.host) from error

    def _known(self, answer: str | None) -> str:
        """What KFP always says; another server does not."""
        if not answer:
            raise stranger(self.host)
        return answer
