"""Starts the steps of a compiled package as KFP 2.17's driver does: the same pods, step by step.

KFP itself is not on the cluster. What it would add to a step is taken from its sources: the
volumes, the security context, the executor input, and a launcher around the command.
"""

import inspect
import json
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.support.cluster import kfp_launcher
from tests.support.cluster.kube import Namespace, eventually

SCRATCH = ("gcs", "s3", "minio", ".local", ".cache", ".config")
"""Where KFP mounts empty volumes, whatever the user of the container."""
ACCOUNT = "pipeline-runner"
BUCKET = "pipeline-root"


@dataclass(frozen=True)
class Step:
    """What a step has put out.

    Attributes:
        parameters: By name.
        metadata: Of its artifacts, by name.
        sizes: Of its artifacts in bytes, by name.
    """

    parameters: dict[str, Any]
    metadata: dict[str, dict[str, Any]]
    sizes: dict[str, int]


@dataclass
class PackageRun:
    """A run of a compiled package.

    Attributes:
        namespace: Where runs are.
        documents: The package: KFP's intermediate representation, and what the pods are given.
        image: Of the steps.
        arguments: Of the pipeline; the others keep their defaults.
        launcher: Environment of the launcher: where artifacts are kept, with which keys.
        run_id: Names the run.
        steps: What the steps that ran have put out.
    """

    namespace: Namespace
    documents: tuple[dict[str, Any], dict[str, Any]]
    image: str
    arguments: dict[str, Any]
    launcher: dict[str, str]
    run_id: str = field(default_factory=lambda: str(uuid4()))
    steps: dict[str, Step] = field(default_factory=dict)

    def finish(self) -> None:
        """Run every step as soon as those that it depends on have run."""
        tasks = self.documents[0]["root"]["dag"]["tasks"]
        while waiting := [name for name in tasks if name not in self.steps]:
            ready = [n for n in waiting if set(tasks[n].get("dependentTasks", ())) <= {*self.steps}]
            for name in ready:
                self.steps[name] = self._run(name, tasks[name])

    def _run(self, name: str, task: dict[str, Any]) -> Step:
        pipeline = self.documents[0]
        component = pipeline["components"][task["componentRef"]["name"]]
        given = {
            "inputs": self._inputs(task),
            "outputs": self._outputs(name, component["outputDefinitions"]),
        }
        pod = f"{name}-{self.run_id[:8]}"
        self.namespace.apply(self._pod(pod, component["executorLabel"], json.dumps(given)))

        def phase() -> str:
            found = self.namespace.get(f"pod/{pod}")["status"]["phase"]
            return str(found) if found in ("Succeeded", "Failed") else ""

        ended = eventually(phase, 300)
        log = self.namespace.kubectl("logs", pod, "--tail=100")
        assert ended == "Succeeded", f"{name}: {log}"
        (said,) = [line for line in log.splitlines() if line.startswith("LAUNCHER ")]
        found = json.loads(said.removeprefix("LAUNCHER "))
        metadata = {
            key: value["artifacts"][0]["metadata"] for key, value in found["artifacts"].items()
        }
        return Step(found.get("parameterValues", {}), metadata, found["sizes"])

    def _inputs(self, task: dict[str, Any]) -> dict[str, Any]:
        asked = task.get("inputs", {})
        return {
            "parameterValues": {k: self._value(v) for k, v in asked.get("parameters", {}).items()},
            "artifacts": {
                name: {"artifacts": [self._artifact(**source["taskOutputArtifact"])]}
                for name, source in asked.get("artifacts", {}).items()
            },
        }

    def _value(self, source: dict[str, Any]) -> Any:
        if "componentInputParameter" in source:
            name = source["componentInputParameter"]
            known = self.documents[0]["root"]["inputDefinitions"]["parameters"]
            value = self.arguments.get(name, known[name]["defaultValue"])
            # The package knows no whole numbers, and Go writes 1.0 as 1.
            return int(value) if isinstance(value, float) and value.is_integer() else value
        if "taskOutputParameter" in source:
            made = source["taskOutputParameter"]
            return self.steps[made["producerTask"]].parameters[made["outputParameterKey"]]
        constant = source["runtimeValue"]["constant"]
        return constant.replace("{{$.pipeline_job_uuid}}", self.run_id)

    def _artifact(
        self, producerTask: str, outputArtifactKey: str, kind: str = "system.Artifact"
    ) -> dict[str, Any]:
        root = f"s3://{BUCKET}/runs/{self.run_id}"
        return {
            "name": outputArtifactKey,
            "uri": f"{root}/{producerTask}/{outputArtifactKey}",
            "type": {"schemaTitle": kind, "schemaVersion": "0.0.1"},
            "metadata": {},
        }

    def _outputs(self, task: str, defined: dict[str, Any]) -> dict[str, Any]:
        return {
            "parameters": {
                name: {"outputFile": f"/tmp/kfp/outputs/{name}"}  # noqa: S108 - in the pod
                for name in defined.get("parameters", {})
            },
            "artifacts": {
                name: {
                    "artifacts": [self._artifact(task, name, spec["artifactType"]["schemaTitle"])]
                }
                for name, spec in defined.get("artifacts", {}).items()
            },
            "outputFile": "/tmp/kfp_outputs/output_metadata.json",  # noqa: S108 - in the pod
        }

    def _pod(self, name: str, executor: str, given: str) -> dict[str, Any]:
        container = self.documents[0]["deploymentSpec"]["executors"][executor]["container"]
        asked = self.documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"][
            executor
        ]
        resources = container["resources"]
        context = asked["securityContext"]
        main = {
            "name": "main",
            "image": self.image,
            "imagePullPolicy": asked["imagePullPolicy"],
            "command": ["python3", "-c", inspect.getsource(kfp_launcher), given],
            "args": [*container["command"], *container["args"]],
            "env": [*container["env"], *self._environment(asked)],
            "resources": {
                kind: {
                    "cpu": resources[f"resourceCpu{word}"],
                    "memory": resources[f"resourceMemory{word}"],
                }
                for kind, word in (("requests", "Request"), ("limits", "Limit"))
            },
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
                "runAsUser": int(context["runAsUser"]),
                "runAsGroup": int(context["runAsGroup"]),
                "runAsNonRoot": context["runAsNonRoot"],
            },
            "volumeMounts": [
                *({"name": each.strip("."), "mountPath": f"/{each}"} for each in SCRATCH),
                *(
                    {"name": each["secretName"], "mountPath": each["mountPath"]}
                    for each in asked.get("secretAsVolume", ())
                ),
            ],
        }
        spec = {
            "serviceAccountName": ACCOUNT,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": int(asked["activeDeadlineSeconds"]),
            "containers": [main],
            "volumes": [
                *({"name": each.strip("."), "emptyDir": {}} for each in SCRATCH),
                *(
                    {
                        "name": each["secretName"],
                        "secret": {"secretName": each["secretName"], "optional": each["optional"]},
                    }
                    for each in asked.get("secretAsVolume", ())
                ),
            ],
        }
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}

    def _environment(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        environment = [{"name": name, "value": text} for name, text in self.launcher.items()]
        for kind, plain, reference in (
            ("secretAsEnv", "secret", "secretKeyRef"),
            ("configMapAsEnv", "configMap", "configMapKeyRef"),
        ):
            for source in asked.get(kind, ()):
                for key in source["keyToEnv"]:
                    selector = {
                        "name": source[f"{plain}Name"],
                        "key": key[f"{plain}Key"],
                        "optional": source.get("optional", False),
                    }
                    environment.append({"name": key["envVar"], "valueFrom": {reference: selector}})
        return environment
