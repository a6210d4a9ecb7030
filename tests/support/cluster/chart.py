"""Installations of the chart for tests."""

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from skyclass.settings import Settings
from skyclass.survey.features import Mode
from tests.support.cluster.kube import ROOT, Namespace, Shell, run

CHART = ROOT / "charts/skyclass"
INGESTED_ROWS = 3_000_000
INGESTED = f"simulated:?rows={INGESTED_ROWS}&era=eboss&seed=2"
"""Source of the ingest job: so many batches that a test can interrupt it between two."""
MODES = tuple(str(mode) for mode in Mode)
NEVER = "0 0 31 2 *"
UNSCHEDULED = {f"{job}__schedule": NEVER for job in ("drift", "ingest", "score")}
"""Values with which tests start these CronJobs: by their schedules, one would write at midnight."""
SEAWEEDFS = {
    "objectStore__bundled__engine": "seaweedfs",
    "images__seaweedfs__registry": "localhost",
}
"""Values of an installation whose bundled store is SeaweedFS (`make test-images`)."""
OBJECTS = {
    "spectroscopic": [[19.4, 19.2, 19.1, 19.0, 18.9, 2.0], [18.2, 17.0, 16.6, 16.4, 16.3, 0.0]],
    "photometric": [[19.4, 19.2, 19.1, 19.0, 18.9], [18.2, 17.0, 16.6, 16.4, 16.3]],
}


class Installation:
    """A release of the chart in a namespace."""

    def __init__(self, namespace: Namespace, name: str, **values: Any) -> None:
        """Initialize the installation without installing anything.

        Args:
            namespace: Where to install.
            name: Name of the Helm release.
            values: Values of the chart by dotted key, with `__` for each dot.
        """
        self.namespace, self.name, self.values = namespace, name, UNSCHEDULED | values

    @property
    def engine(self) -> str:
        """Engine of the bundled store."""
        return str(self.values.get("objectStore__bundled__engine", "minio"))

    @property
    def store(self) -> str:
        """Name of the bundled store's Service and StatefulSet."""
        return f"{self.name}-{self.engine}"

    def helm(self, *arguments: str, seconds: float = 900) -> str:
        """Run helm in the namespace."""
        return run("helm", "-n", self.namespace.name, *arguments, seconds=seconds)

    def install(self, **values: Any) -> str:
        """Install or upgrade the chart.

        Args:
            values: Values that override those of the installation.
        """
        arguments = make_arguments(self.values | values)
        return self.helm("upgrade", "--install", self.name, str(CHART), *arguments)

    def wait_until_served(self, modes: tuple[str, ...] = MODES, seconds: int = 900) -> None:
        """Wait until the bootstrap Job has completed and the endpoints are ready."""
        (job,) = self.namespace.list_names("jobs", "app.kubernetes.io/component=bootstrap")
        assert self.namespace.wait_for_job(job, seconds), self.namespace.read_logs(job)
        for mode in modes:
            self.namespace.kubectl(
                "wait", f"inferenceservice/skyclass-{mode}", "--for=condition=Ready",
                "--timeout=120s",
            )  # fmt: skip

    def get_release(self, mode: str) -> str:
        """Return the id of the release that the InferenceService refers to."""
        service = self.namespace.get(f"inferenceservice/skyclass-{mode}")
        return str(service["spec"]["predictor"]["model"]["storageUri"].rstrip("/").split("/")[-1])

    def read_keys(self, role: str) -> tuple[str, str]:
        """Return the access key and the secret key of a role."""
        data = self.namespace.get(f"secret/{self.name}-s3-{role}")["data"]
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        key, secret = (base64.b64decode(data[name]).decode() for name in names)
        return key, secret

    @contextmanager
    def connect_to_store(self, role: str = "root") -> Iterator[Settings]:
        """Forward a port to the bundled store, and yield settings that access it as a role."""
        key, secret = self.read_keys(role)
        with self.namespace.forward(f"pod/{self.store}-0", 9000) as address:
            yield Settings(
                AWS_ENDPOINT_URL=address, AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret
            )

    def start_training(self, mode: str, **parameters: str) -> str:
        """Start the training pipeline in a Job like the bootstrap Job, and return the Job's name.

        By default it trains one small candidate.
        """
        (job,) = self.namespace.get("jobs", "-l", "app.kubernetes.io/component=bootstrap")["items"]
        template = job["spec"]["template"]
        template["metadata"]["labels"] = {
            name: value
            for name, value in template["metadata"]["labels"].items()
            if name.startswith("app.")  # the Job controller adds the others
        }
        parameters = {"mode": mode, "candidates": "decision_tree"} | parameters
        arguments = [f"--param={name}={value}" for name, value in parameters.items()]
        (container,) = template["spec"]["containers"]
        container |= {"command": ["skyclass"], "args": ["run", "training", *arguments]}
        name = f"train-{uuid4().hex[:6]}"
        self.namespace.apply(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {
                    "name": name,
                    "labels": {"run": "training"},
                },  # by default the labels of the pods
                "spec": {"template": template, "backoffLimit": 0},
            }
        )
        return name

    def start_step(self, kfp: Namespace, role: str, *arguments: str) -> str:
        """Start a Job as a step of a pipeline run, and return its name.

        Args:
            kfp: Namespace of Kubeflow Pipelines, with the ServiceAccount, settings and keys.
            role: Identity of the step in the object store.
            arguments: Arguments of `skyclass`.
        """
        job = f"{role}-{arguments[0]}-{uuid4().hex[:6]}"
        (bootstrap,) = self.namespace.get("jobs", "-l", "app.kubernetes.io/component=bootstrap")[
            "items"
        ]
        pod = bootstrap["spec"]["template"]["spec"]
        pod["serviceAccountName"] = "pipeline-runner"
        (container,) = pod["containers"]
        container |= {
            "command": ["skyclass"],
            "args": list(arguments),
            "env": [{"name": "SKYCLASS_HOME", "value": "/tmp/skyclass"}],  # noqa: S108 - in the pod
            "envFrom": [
                {"configMapRef": {"name": f"{self.name}-settings"}},
                {"secretRef": {"name": f"{self.name}-s3-{role}"}},
            ],
        }
        kfp.apply(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": job},
                "spec": {"template": {"spec": pod}, "backoffLimit": 0},
            }
        )
        return job

    def start_shell(
        self, name: str, labels: dict[str, str], namespace: Namespace | None = None
    ) -> Shell:
        """Start a pod that runs Python in the predictor's image, by default in this namespace."""
        runtime = self.namespace.get("servingruntime/skyclass")
        image = runtime["spec"]["containers"][0]["image"]
        return Shell(namespace or self.namespace, name, image, labels)


def make_arguments(values: dict[str, Any]) -> list[str]:
    """Convert values to arguments of helm, and add the file in SKYCLASS_TEST_VALUES."""
    file = os.environ.get("SKYCLASS_TEST_VALUES")
    arguments = [f"--values={Path(file).resolve()}"] if file else []
    for name, value in values.items():
        arguments.append(f"--set-json={name.replace('__', '.')}={json.dumps(value)}")
    return arguments
