"""HTTP server with the API of KFP's API server, for tests of its clients.

Requests and responses are the models that KFP generates from its API definition. No KFP backend
runs in the tests.
"""

import email
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api as api
import yaml

NOT_FOUND = 5
LOGIN_PAGE = b"<!doctype html><title>Log in</title>"


@dataclass
class Fault:
    """An error response.

    Attributes:
        status: HTTP status; 0 for no response at all.
        body: Response body.
        path: Part of the paths that are affected.
        times: Number of error responses, after which the server recovers.
    """

    status: int
    body: bytes = b""
    path: str = ""
    times: int = 1_000_000


@dataclass
class FakeKfp:
    """State of the server: received objects, and the run states that it will report."""

    address: str = ""
    fault: Fault | None = None
    states: list[str] = field(default_factory=lambda: ["SUCCEEDED"])
    failed: tuple[str, ...] = ()
    logs: dict[str, str] = field(default_factory=dict)
    serves_api_logs: bool = True
    """Whether it is the API server; the user interface has another address for logs."""
    message: str = ""
    authorization: set[str | None] = field(default_factory=set)
    pipelines: list[api.V2beta1Pipeline] = field(default_factory=list)
    versions: list[api.V2beta1PipelineVersion] = field(default_factory=list)
    experiments: list[api.V2beta1Experiment] = field(default_factory=list)
    runs: list[api.V2beta1Run] = field(default_factory=list)
    recurring: list[api.V2beta1RecurringRun] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def list_nodes(self) -> Iterator[api.V2beta1PipelineTaskDetail]:
        """Yield nodes of Argo's graph: the failed ones, and the attempts that have a log."""
        for number, name in enumerate(self.failed):
            yield make_node(name, "FAILED", number)
        for number, step in enumerate(self.logs, start=1):
            state = "FAILED" if step in self.failed else "SUCCEEDED"
            yield make_node(step, state, 100 * number, 100 * number + 1)
            yield make_node("executor", state, 100 * number + 1, 100 * number + 2)
            yield make_node("executor(0)", state, 100 * number + 2, 100 * (number + 1))

    def find_log(self, pod: str) -> str | None:
        """Return the log of a pod; None for a node that is not an attempt."""
        number, node = divmod(int(pod.rpartition("-")[2]), 100)
        return [*self.logs.values()][number - 1] if node == 2 else None

    def respond(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        """Return the response to a request: a model, a log, or None if there is no such object."""
        parts = path.removeprefix("/apis/v2beta1/").split("/")
        match method, parts:
            case "GET", ["pipelines", "names", name]:
                return next((found for found in self.pipelines if found.name == name), None)
            case "POST", ["pipelines"]:
                made = api.V2beta1Pipeline(**body, pipeline_id=f"pipeline-{len(self.pipelines)}")
                self.pipelines.append(made)
                return made
            case "GET", ["pipelines", pipeline, "versions"]:
                found = [each for each in self.versions if each.pipeline_id == pipeline]
                # One version per page, so that clients have to follow page tokens.
                page = int(query["page_token"] or 0)
                more = str(page + 1) if page + 1 < len(found) else None
                return api.V2beta1ListPipelineVersionsResponse(
                    pipeline_versions=found[page : page + 1] or None, next_page_token=more
                )
            case "POST", ["pipelines", "upload_version"]:
                made = api.V2beta1PipelineVersion(
                    pipeline_id=query["pipelineid"],
                    name=query["name"],
                    display_name=query["name"],
                    pipeline_version_id=f"version-{len(self.versions)}",
                    pipeline_spec=body,
                )
                self.versions.append(made)
                return made
            case "GET", ["experiments"]:
                (predicate,) = json.loads(query["filter"])["predicates"]
                name = predicate["stringValue"]
                found = [each for each in self.experiments if each.display_name == name]
                return api.V2beta1ListExperimentsResponse(experiments=found or None)
            case "POST", ["experiments"]:
                made = api.V2beta1Experiment(**body, experiment_id="experiment-0")
                self.experiments.append(made)
                return made
            case "POST", ["runs"]:
                made = api.V2beta1Run(**body, run_id=f"run-{len(self.runs)}")
                self.runs.append(made)
                return made
            case "GET", ["runs"]:
                (predicate,) = json.loads(query["filter"])["predicates"]
                found = [e for e in self.runs if e.display_name == predicate["stringValue"]]
                return api.V2beta1ListRunsResponse(runs=found or None)
            case "GET", ["runs", run]:
                state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
                return api.V2beta1Run(
                    run_id=run,
                    state=state or None,
                    error=api.GoogleRpcStatus(code=9, message=self.message),
                    run_details=api.V2beta1RunDetails(task_details=list(self.list_nodes())),
                )
            case "GET", ["", "apis", "v1alpha1", "runs", _, "nodes", pod, "log"]:
                return self.find_log(pod) if self.serves_api_logs else None
            case "GET", ["", "k8s", "pod", "logs"]:
                return self.find_log(query["podname"])
            case "POST", ["recurringruns"]:
                number = len(self.recurring)
                made = api.V2beta1RecurringRun(**body, recurring_run_id=f"recurring-{number}")
                self.recurring.append(made)
                return made
            case "GET", ["recurringruns"]:
                found = [e for e in self.recurring if e.experiment_id == query["experiment_id"]]
                return api.V2beta1ListRecurringRunsResponse(recurring_runs=found or None)
            case "DELETE", ["recurringruns", recurring_run]:
                self.recurring = [e for e in self.recurring if e.recurring_run_id != recurring_run]
                return {}
        raise AssertionError(f"KFP has no {method} {path}")


def make_node(name: str, state: str, number: int, *children: int) -> api.V2beta1PipelineTaskDetail:
    """Make a node as KFP reports it: with the name of its pod, and the ids of its children."""
    return api.V2beta1PipelineTaskDetail(
        display_name=name,
        state=state,
        pod_name=f"skyclass-training-x7k2p-system-container-impl-{number}",
        child_tasks=[
            api.PipelineTaskDetailChildTask(pod_name=f"skyclass-training-x7k2p-{child}")
            for child in children
        ],
    )


@contextmanager
def running(host: str = "127.0.0.1", port: int = 0) -> Iterator[FakeKfp]:
    """Run the server, by default on a free port of loopback."""
    kfp = FakeKfp()

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.close_connection = True
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                return
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kfp.authorization.add(self.headers.get("Authorization"))
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query, True).items()}
            fault = kfp.fault
            if fault and fault.times and fault.path in url.path:
                fault.times -= 1
                if fault.status:
                    self.reply(fault.status, fault.body)
                else:
                    kfp.ended.wait()
                return
            found = kfp.respond(self.command, url.path, query, self.parsed(content))
            if found is None:
                self.reply(404, json.dumps({"code": NOT_FOUND, "message": "not found"}).encode())
            elif isinstance(found, str):
                self.reply(200, found.encode())
            else:
                self.reply(200, json.dumps(to_json(found)).encode())

        def parsed(self, content: bytes) -> Any:
            kind = self.headers.get("Content-Type") or ""
            if not kind.startswith("multipart/"):
                return json.loads(content) if content else None
            message = email.message_from_bytes(
                f"Content-Type: {kind}\r\n\r\n".encode() + content, policy=HTTP
            )
            (part,) = message.iter_parts()
            pipeline, platform = yaml.safe_load_all(part.get_payload(decode=True))
            return {"pipeline_spec": pipeline, "platform_spec": platform}

        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Do not log requests."""

    server = ThreadingHTTPServer((host, port), Handler)
    kfp.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield kfp
    finally:
        kfp.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def to_json(model: Any) -> Any:
    """A model as JSON, without unset fields, as KFP's API server writes it."""
    return api.ApiClient().sanitize_for_serialization(model)
