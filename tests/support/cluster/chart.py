"""The chart, installed for tests."""

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
INGESTED_ROWS = 500_000
INGESTED = f"simulated:?rows={INGESTED_ROWS}&era=eboss&seed=2"
"""What the ingest job brings in: three batches, so that there is a middle."""
MODES = tuple(str(mode) for mode in Mode)
OBJECTS = {
    "spectroscopic": [[19.4, 19.2, 19.1, 19.0, 18.9, 2.0], [18.2, 17.0, 16.6, 16.4, 16.3, 0.0]],
    "photometric": [[19.4, 19.2, 19.1, 19.0, 18.9], [18.2, 17.0, 16.6, 16.4, 16.3]],
}


class Installation:
    """A release of the chart in a namespace."""

    def __init__(self, namespace: Namespace, name: str, **values: Any) -> None:
        """Name the release and its values, dots as two underscores; nothing is installed yet."""
        self.namespace, self.name, self.values = namespace, name, values

    def helm(self, *arguments: str, seconds: float = 900) -> str:
        """Run helm in the namespace."""
        return run("helm", "-n", self.namespace.name, *arguments, seconds=seconds)

    def install(self, **values: Any) -> str:
        """Install or upgrade, with other values if any are given."""
        arguments = values_of(self.values | values)
        return self.helm("upgrade", "--install", self.name, str(CHART), *arguments)

    def wait_until_served(self, modes: tuple[str, ...] = MODES, seconds: int = 900) -> None:
        """Wait until the first releases are served."""
        (job,) = self.namespace.names("jobs", "app.kubernetes.io/component=bootstrap")
        assert self.namespace.finish(job, seconds), self.namespace.logs(job)
        for mode in modes:
            self.namespace.kubectl(
                "wait", f"inferenceservice/skyclass-{mode}", "--for=condition=Ready",
                "--timeout=120s",
            )  # fmt: skip

    def release(self, mode: str) -> str:
        """The release that the InferenceService is told to serve."""
        service = self.namespace.get(f"inferenceservice/skyclass-{mode}")
        return str(service["spec"]["predictor"]["model"]["storageUri"].rstrip("/").split("/")[-1])

    def keys(self, role: str) -> tuple[str, str]:
        """A role's keys."""
        data = self.namespace.get(f"secret/{self.name}-s3-{role}")["data"]
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        key, secret = (base64.b64decode(data[name]).decode() for name in names)
        return key, secret

    @contextmanager
    def store(self, role: str = "root") -> Iterator[Settings]:
        """Settings that reach the bundled store from here, as a role."""
        key, secret = self.keys(role)
        with self.namespace.forwarded(f"pod/{self.name}-minio-0", 9000) as address:
            yield Settings(
                AWS_ENDPOINT_URL=address, AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret
            )

    def train(self, mode: str, **parameters: str) -> str:
        """Start a run of the training pipeline, in a Job as the bootstrap's; say what it is called.

        One small candidate is trained, unless the parameters say otherwise.
        """
        (job,) = self.namespace.get("jobs", "-l", "app.kubernetes.io/component=bootstrap")["items"]
        template = job["spec"]["template"]
        template["metadata"]["labels"] = {
            name: value
            for name, value in template["metadata"]["labels"].items()
            if name.startswith("app.")  # the others belong to that Job
        }
        given = {"mode": mode, "candidates": "decision_tree"} | parameters
        arguments = [f"--param={name}={value}" for name, value in given.items()]
        (container,) = template["spec"]["containers"]
        container |= {"command": ["skyclass"], "args": ["run", "training", *arguments]}
        name = f"train-{uuid4().hex[:6]}"
        self.namespace.apply(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": name, "labels": {"run": "training"}},  # else the pods'
                "spec": {"template": template, "backoffLimit": 0},
            }
        )
        return name

    def shell(self, name: str, labels: dict[str, str]) -> Shell:
        """A pod that runs Python in the predictor's image."""
        runtime = self.namespace.get("servingruntime/skyclass")
        return Shell(self.namespace, name, runtime["spec"]["containers"][0]["image"], labels)


def values_of(values: dict[str, Any]) -> list[str]:
    """Values as arguments of helm, those of SKYCLASS_TEST_VALUES among them."""
    given = os.environ.get("SKYCLASS_TEST_VALUES")
    arguments = [f"--values={Path(given).resolve()}"] if given else []
    for name, value in values.items():
        arguments.append(f"--set-json={name.replace('__', '.')}={json.dumps(value)}")
    return arguments
