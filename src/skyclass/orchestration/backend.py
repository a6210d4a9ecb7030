"""The calls of KFP's API that runs and schedules need, each with a timeout.

KFP's own `Client` has no timeouts, prints to standard output, writes to the user's home and waits
forever for a cancelled run. This uses the generated API client below it.
"""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import kfp_server_api as api
import urllib3

from skyclass.orchestration.backend_errors import (
    BackendError,
    NotFoundError,
    explain_connection_failure,
    explain_error_response,
    explain_foreign_response,
)
from skyclass.orchestration.backend_models import RunStatus, Schedule
from skyclass.proxies import find_proxy, make_proxy_headers
from skyclass.urls import omit_credentials

TIMEOUTS = (5.0, 30.0)
"""Seconds to connect, and to respond."""

_RETRIES = 2
_PAGE_SIZE = 100


class Backend:
    """A KFP API server, reached directly or through its user interface.

    Args:
        host: Base URL, such as http://127.0.0.1:8080; a user and password in it are ignored.
        namespace: Namespace of the user, on a multi-user KFP.
        token: Bearer token, if KFP requires one.
        timeouts: Seconds to connect, and to respond.
    """

    def __init__(
        self,
        host: str,
        namespace: str | None = None,
        token: str | None = None,
        timeouts: tuple[float, float] = TIMEOUTS,
    ) -> None:
        self.host = omit_credentials(host).rstrip("/")
        self._namespace = namespace
        self._timeouts = timeouts
        configuration = api.Configuration(host=self.host)
        configuration.retries = _RETRIES
        configuration.logger["urllib3_logger"].setLevel(logging.ERROR)  # it warns of every retry
        configuration.proxy = find_proxy(self.host)
        if configuration.proxy:
            configuration.proxy_headers = make_proxy_headers(configuration.proxy)
        if token:
            configuration.api_key = {"authorization": token}
            configuration.api_key_prefix = {"authorization": "Bearer"}
        self._client = client = api.ApiClient(configuration)
        self._pipelines = api.PipelineServiceApi(client)
        self._uploads = api.PipelineUploadServiceApi(client)
        self._experiments = api.ExperimentServiceApi(client)
        self._runs = api.RunServiceApi(client)
        self._recurring = api.RecurringRunServiceApi(client)

    def ensure_pipeline(self, name: str, description: str) -> str:
        """Return the id of a pipeline; create it, without a version, if it does not exist."""
        filters = {"namespace": self._namespace} if self._namespace else {}
        try:
            get = self._pipelines.pipeline_service_get_pipeline_by_name
            response = self._call(get, name, **filters)
        except NotFoundError:
            pipeline = api.V2beta1Pipeline(
                name=name, display_name=name, description=description, namespace=self._namespace
            )
            create = self._pipelines.pipeline_service_create_pipeline
            response = self._call(create, pipeline=pipeline)
        return self._require(response.pipeline_id)

    def find_version(self, pipeline_id: str, name: str) -> str | None:
        """Return the id of a pipeline's version, or None if it does not exist."""
        versions = self._list(
            self._pipelines.pipeline_service_list_pipeline_versions,
            "pipeline_versions",
            pipeline_id=pipeline_id,
        )
        for version in versions:
            if name in (version.name, version.display_name):
                return self._require(version.pipeline_version_id)
        return None

    def upload_version(self, pipeline_id: str, name: str, package_file: str) -> str:
        """Upload a package as a version of a pipeline. Returns its id."""
        upload = self._uploads.upload_pipeline_version
        version = self._call(upload, package_file, name=name, pipelineid=pipeline_id)
        return self._require(version.pipeline_version_id)

    def ensure_experiment(self, name: str) -> str:
        """Return the id of an experiment; create it if it does not exist."""
        filters = {"filter": _make_name_filter(name)}
        if self._namespace:
            filters["namespace"] = self._namespace
        found = self._call(self._experiments.experiment_service_list_experiments, **filters)
        if found.experiments:
            return self._require(found.experiments[0].experiment_id)
        experiment = api.V2beta1Experiment(display_name=name, namespace=self._namespace)
        create = self._experiments.experiment_service_create_experiment
        return self._require(self._call(create, experiment=experiment).experiment_id)

    def create_run(self, **fields: Any) -> str:
        """Start a run. Returns its id."""
        run = self._call(self._runs.run_service_create_run, run=api.V2beta1Run(**fields))
        return self._require(run.run_id)

    def find_run(self, experiment_id: str, name: str) -> str | None:
        """Return the id of a run by its display name, or None if it does not exist."""
        list_runs = self._runs.run_service_list_runs
        found = self._call(list_runs, experiment_id=experiment_id, filter=_make_name_filter(name))
        return self._require(found.runs[0].run_id) if found.runs else None

    def get_run(self, run_id: str) -> RunStatus:
        """Return the state of a run."""
        run = self._call(self._runs.run_service_get_run, run_id)
        self._require(run.run_id)
        return RunStatus.from_response(run)

    def read_log(self, run_id: str, pod: str) -> str:
        """Return the log of a run's pod, from the API server or through the user interface."""
        try:
            return self._get_text(f"/apis/v1alpha1/runs/{run_id}/nodes/{pod}/log", {})
        except BackendError:  # the user interface forwards only /apis/v2beta1
            filters = {"podnamespace": self._namespace} if self._namespace else {}
            return self._get_text("/k8s/pod/logs", {"podname": pod, "runid": run_id, **filters})

    def create_recurring_run(self, **fields: Any) -> str:
        """Create a recurring run. Returns its id."""
        recurring_run = api.V2beta1RecurringRun(**fields)
        create = self._recurring.recurring_run_service_create_recurring_run
        return self._require(self._call(create, recurring_run=recurring_run).recurring_run_id)

    def list_recurring_runs(self, experiment_id: str) -> list[Schedule]:
        """Return the recurring runs of an experiment."""
        recurring_runs = self._list(
            self._recurring.recurring_run_service_list_recurring_runs,
            "recurring_runs",
            experiment_id=experiment_id,
        )
        return [Schedule.from_response(found) for found in recurring_runs]

    def delete_recurring_run(self, recurring_run_id: str) -> None:
        """Delete a recurring run but not the runs that it started."""
        self._call(self._recurring.recurring_run_service_delete_recurring_run, recurring_run_id)

    def _get_text(self, path: str, query: dict[str, str]) -> str:
        text: str = self._call(
            self._client.call_api,
            path,
            "GET",
            query_params=list(query.items()),
            response_type="str",
            auth_settings=["Bearer"],
            _return_http_data_only=True,
        )
        if text.lstrip()[:9].lower() == "<!doctype":  # a login page
            raise explain_foreign_response(self.host)
        return text

    def _list(self, call: Callable[..., Any], field: str, **filters: str) -> Iterator[Any]:
        """Iterate over the items of all pages."""
        token = ""
        while True:
            page = self._call(call, page_size=_PAGE_SIZE, page_token=token, **filters)
            yield from getattr(page, field) or ()
            token = page.next_page_token
            if not token:
                return

    def _call(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            return call(*arguments, **named, _request_timeout=self._timeouts)
        except api.ApiException as error:
            raise explain_error_response(self.host, error) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise explain_connection_failure(self.host, error) from error
        except (AttributeError, TypeError, ValueError) as error:  # not JSON, or not KFP's JSON
            raise explain_foreign_response(self.host) from error

    def _require(self, value: str | None) -> str:
        """Return a field that KFP always sets; another server's response lacks it."""
        if not value:
            raise explain_foreign_response(self.host)
        return value


def _make_name_filter(name: str) -> str:
    """Return KFP's filter of objects by their display name."""
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [predicate]})
