"""kubectl for tests: a namespace that goes when the test ends, and pods to ask from."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import yaml

ROOT = Path(__file__).resolve().parents[3]
_RESTRICTED = "pod-security.kubernetes.io"
_ENVIRONMENT = dict(os.environ)  # the administrator's; a test may act as somebody else
T = TypeVar("T")


def run(*command: str, given: str | None = None, seconds: float = 300) -> str:
    """Run a command; what it says on failure is the test's failure."""
    done = subprocess.run(
        command,
        input=given,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env=_ENVIRONMENT,
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout + (f"\n{done.stderr}" if "Warning" in done.stderr else "")


def eventually(what: Callable[[], T], seconds: float, pause: float = 1.0) -> T:
    """Ask until the answer is true, or fail with the last one."""
    until = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < until, f"after {seconds} s still {answer!r}"
        time.sleep(pause)
    return answer


class Namespace:
    """A namespace that enforces Pod Security `restricted`."""

    def __init__(self, name: str) -> None:
        """Use a namespace that exists."""
        self.name = name

    @classmethod
    @contextmanager
    def fresh(cls, word: str) -> Iterator["Namespace"]:
        """A new namespace, deleted in the end."""
        name = f"skyclass-test-{word}-{uuid4().hex[:6]}"
        labels = {f"{_RESTRICTED}/{action}": "restricted" for action in ("enforce", "warn")}
        manifest = {"apiVersion": "v1", "kind": "Namespace"}
        manifest["metadata"] = {"name": name, "labels": labels}
        run("kubectl", "apply", "-f", "-", given=json.dumps(manifest))
        try:
            yield cls(name)
        finally:
            run("kubectl", "delete", "namespace", name, "--wait=false")

    def kubectl(self, *arguments: str, given: str | None = None, seconds: float = 300) -> str:
        """Run kubectl in the namespace."""
        return run("kubectl", "-n", self.name, *arguments, given=given, seconds=seconds)

    def get(self, *what: str) -> Any:
        """Read objects as the API has them."""
        return json.loads(self.kubectl("get", *what, "-o", "json"))

    def apply(self, manifest: dict[str, Any]) -> None:
        """Apply an object."""
        self.kubectl("apply", "-f", "-", given=yaml.safe_dump(manifest))

    def names(self, kind: str, selector: str = "") -> set[str]:
        """Names of the objects of a kind."""
        return {each["metadata"]["name"] for each in self.get(kind, "-l", selector)["items"]}

    def finish(self, job: str, seconds: float = 300) -> bool:
        """Wait for a Job to end; whether it ended well."""

        def ended() -> str:
            conditions = self.get(f"job/{job}").get("status", {}).get("conditions", [])
            return next(
                (c["type"] for c in conditions
                 if c["type"] in ("Complete", "Failed") and c["status"] == "True"),
                "",
            )  # fmt: skip

        return eventually(ended, seconds) == "Complete"

    def is_running(self, job: str) -> bool:
        """Whether a pod of a Job is running."""
        return bool(self.get(f"job/{job}").get("status", {}).get("ready"))

    def run_from(self, cron_job: str, *arguments: str, name: str = "") -> str:
        """Start a Job from a CronJob, with other arguments if any are given."""
        job = name or f"by-hand-{uuid4().hex[:6]}"
        created = self.kubectl(
            "create", "job", job, f"--from=cronjob/{cron_job}", "--dry-run=client", "-o", "json"
        )
        manifest = json.loads(created)
        manifest["metadata"].pop("ownerReferences", None)
        if arguments:
            manifest["spec"]["template"]["spec"]["containers"][0]["args"] = list(arguments)
        self.apply(manifest)
        return job

    def logs(self, job: str) -> str:
        """What a Job's pods have said so far."""
        pods = self.get("pods", "-l", f"job-name={job}")["items"]
        begun = [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] != "Pending"]
        return "".join(self.kubectl("logs", pod, "--tail=200") for pod in begun)

    @contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[str]:
        """An address on this machine that leads to a port of a pod or Service."""
        process = subprocess.Popen(
            ["kubectl", "-n", self.name, "port-forward", target, f":{port}"],  # noqa: S607
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_ENVIRONMENT,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert found, line
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            process.kill()
            process.wait()


class Shell:
    """A pod that runs Python for a test, with the labels that it is given."""

    def __init__(self, namespace: Namespace, name: str, image: str, labels: dict[str, str]) -> None:
        """Start the pod, and wait until it runs."""
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

    def python(self, code: str, *arguments: str, seconds: float = 300) -> str:
        """Run code in the pod."""
        return self.namespace.kubectl(
            "exec", self.name, "--", "python", "-c", code, *arguments, seconds=seconds
        )

    def reaches(self, host: str, port: int) -> bool:
        """Whether a TCP connection can be made."""
        code = (
            "import socket, sys\n"
            "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), 3); print('yes')\n"
            "except OSError as error: print('no', error)"
        )
        return self.python(code, host, str(port)).startswith("yes")
