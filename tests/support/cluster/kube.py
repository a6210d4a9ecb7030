"""kubectl for tests: temporary namespaces, and pods that run code."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import yaml

from skyclass.polling import poll
from tests.support.cluster.tunnel import Tunnel

ROOT = Path(__file__).resolve().parents[3]
_POD_SECURITY = "pod-security.kubernetes.io"
_ENVIRONMENT = dict(os.environ)  # of the administrator; tests may change KUBECONFIG
T = TypeVar("T")


def run(*command: str, stdin: str | None = None, seconds: float = 300) -> str:
    """Run a command and return its output; a failure fails the test with the output."""
    completed = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env=_ENVIRONMENT,
    )
    output, errors = completed.stdout, completed.stderr
    if completed.returncode:
        raise AssertionError(f"{' '.join(command)}\n{output}{errors}")
    return output + (f"\n{errors}" if "Warning" in errors else "")


def eventually(condition: Callable[[], T], seconds: float, interval: float = 1.0) -> T:
    """Poll until the condition returns something true, or fail after the timeout."""
    result = poll(condition, seconds, interval)
    assert result, f"condition still false after {seconds} s"
    return result


class Namespace:
    """A namespace of a test."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    @contextmanager
    def create(cls, word: str, level: str = "restricted") -> Iterator["Namespace"]:
        """Create a namespace, and delete it at the end of the block.

        Args:
            word: Part of its name.
            level: Level of Pod Security that it enforces.
        """
        name = f"skyclass-test-{word}-{uuid4().hex[:6]}"
        labels = {f"{_POD_SECURITY}/{action}": level for action in ("enforce", "warn")}
        manifest = {"apiVersion": "v1", "kind": "Namespace"}
        manifest["metadata"] = {"name": name, "labels": labels}
        run("kubectl", "apply", "-f", "-", stdin=json.dumps(manifest))
        try:
            yield cls(name)
        finally:
            run("kubectl", "delete", "namespace", name, "--wait=false")

    def kubectl(self, *arguments: str, stdin: str | None = None, seconds: float = 300) -> str:
        """Run kubectl in the namespace."""
        return run("kubectl", "-n", self.name, *arguments, stdin=stdin, seconds=seconds)

    def get(self, *arguments: str) -> Any:
        """Return an object, or a list of objects, as the API returns it."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, manifest: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(manifest))

    def list_names(self, kind: str, selector: str = "") -> set[str]:
        """Return the names of the objects of a kind."""
        return {each["metadata"]["name"] for each in self.get(kind, "-l", selector)["items"]}

    def wait_for_job(self, job: str, seconds: float = 300) -> bool:
        """Wait until a Job ends, and return whether it succeeded."""

        def get_final_condition() -> str:
            conditions = self.get(f"job/{job}").get("status", {}).get("conditions", [])
            return next(
                (c["type"] for c in conditions
                 if c["type"] in ("Complete", "Failed") and c["status"] == "True"),
                "",
            )  # fmt: skip

        condition = poll(get_final_condition, seconds, 1)
        assert condition, f"{job} has not ended after {seconds} s: {self._list_waiting()}"
        return condition == "Complete"

    def _list_waiting(self) -> list[str]:
        """Return why pods, such as those that a Job depends on, are not scheduled or not ready."""
        return [
            f"{pod['metadata']['name']}: {condition['message']}"
            for pod in self.get("pods")["items"]
            for condition in pod["status"].get("conditions", [])
            if "message" in condition
        ]

    def start_cron_job(self, cron_job: str, *arguments: str) -> str:
        """Start a Job from a CronJob, optionally with other arguments, and return its name."""
        job = f"manual-{uuid4().hex[:6]}"
        created = self.kubectl(
            "create", "job", job, f"--from=cronjob/{cron_job}", "--dry-run=client", "-o", "json"
        )
        manifest = json.loads(created)
        manifest["metadata"].pop("ownerReferences", None)
        if arguments:
            manifest["spec"]["template"]["spec"]["containers"][0]["args"] = list(arguments)
        self.apply(manifest)
        return job

    def list_pods(self, selector: str) -> list[dict[str, Any]]:
        """Return the pods that are not being deleted."""
        pods = self.get("pods", "-l", selector)["items"]
        return [each for each in pods if "deletionTimestamp" not in each["metadata"]]

    def get_pod(self, selector: str) -> dict[str, Any]:
        """Return the only pod that is not being deleted."""
        (pod,) = self.list_pods(selector)
        return pod

    def list_job_pods(self, job: str) -> list[dict[str, Any]]:
        """Return the pods of a Job."""
        pods: list[dict[str, Any]] = self.get("pods", "-l", f"job-name={job}")["items"]
        return pods

    def read_logs(self, job: str) -> str:
        """Return the current logs of a Job's pods."""
        pods = self.list_job_pods(job)
        started = [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] != "Pending"]
        return "".join(self.kubectl("logs", pod, "--tail=200") for pod in started)

    @contextmanager
    def forward(self, target: str, port: int) -> Iterator[str]:
        """Forward a local port to a pod or Service, and yield its URL."""
        tunnel = Tunnel(self.name, target, port, _ENVIRONMENT)
        try:
            yield tunnel.url
        finally:
            tunnel.close()


class Shell:
    """A pod that runs Python code of a test."""

    def __init__(self, namespace: Namespace, name: str, image: str, labels: dict[str, str]) -> None:
        """Start the pod and wait until it is ready."""
        self.namespace, self.name = namespace, name
        security = {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        container = {
            "name": "python",
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["python", "-c", "import time; time.sleep(86400)"],
            "securityContext": security,
            "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
        }
        spec = {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        }
        metadata = {"name": name, "labels": labels}
        namespace.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        namespace.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=120s")

    def run_python(self, code: str, *arguments: str, seconds: float = 300) -> str:
        """Run code in the pod and return its output."""
        return self.namespace.kubectl(
            "exec", self.name, "--", "python", "-c", code, *arguments, seconds=seconds
        )

    def can_connect(self, host: str, port: int) -> bool:
        """Return whether a TCP connection succeeds."""
        code = (
            "import socket, sys\n"
            "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), 3); print('yes')\n"
            "except OSError as error: print('no', error)"
        )
        return self.run_python(code, host, str(port)).startswith("yes")
