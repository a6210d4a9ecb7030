"""Runs a compiled package on a cluster without KFP, with the pods that KFP 2.17's driver creates.

Volumes, security context, executor input and launcher of a step follow KFP's source.
"""

import inspect
import json
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.support.cluster import kfp_launcher
from tests.support.cluster.kube import Namespace, eventually

SCRATCH = ("gcs", "s3", "minio", ".local", ".cache", ".config")
"""Paths at which KFP mounts empty volumes."""
ACCOUNT = "pipeline-runner"
BUCKET = "pipeline-root"


@dataclass(frozen=True)
class Step:
    """Outputs of a step.

    Attributes:
        parameters: Output parameters by name.
        metadata: Metadata of the output artifacts by name.
        sizes: Sizes of the output artifacts in bytes, by name.
    """

    parameters: dict[str, Any]
    metadata: dict[str, dict[str, Any]]
    sizes: dict[str, int]


@dataclass
class PackageRun:
    """A run of a compiled package.

    Attributes:
        namespace: Namespace of the pods.
        documents: The package: the pipeline specification and the platform specification.
        image: Image of the steps.
        arguments: Arguments of the pipeline; other parameters have their defaults.
        launcher: Environment of the launcher: endpoint and keys of the artifact store.
        run_id: Unique id of the run.
        steps: Outputs of the finished steps by name.
    """

    namespace: Namespace
    documents: tuple[dict[str, Any], dict[str, Any]]
    image: str
    arguments: dict[str, Any]
    launcher: dict[str, str]
    run_id: str = field(default_factory=lambda: str(uuid4()))
    steps: dict[str, Step] = field(default_factory=dict)

    def run(self) -> None:
        """Run all steps in the order of their dependencies."""
        tasks = self.documents[0]["root"]["dag"]["tasks"]
        while waiting := [name for name in tasks if name not in self.steps]:
            ready = [n for n in waiting if set(tasks[n].get("dependentTasks", ())) <= {*self.steps}]
            for name in ready:
                self.steps[name] = self._run(name, tasks[name])

    def _run(self, name: str, task: dict[str, Any]) -> Step:
        pipeline = self.documents[0]
        component = pipeline["components"][task["componentRef"]["name"]]
        executor_input = {
            "inputs": self._inputs(task),
            "outputs": self._outputs(name, component["outputDefinitions"]),
        }
        pod = f"{name}-{self.run_id[:8]}"
        self.namespace.apply(self._pod(pod, component["executorLabel"], json.dumps(executor_input)))

        def get_final_phase() -> str:
            phase = self.namespace.get(f"pod/{pod}")["status"]["phase"]
            return str(phase) if phase in ("Succeeded", "Failed") else ""

        phase = eventually(get_final_phase, 300)
        log = self.namespace.kubectl("logs", pod, "--tail=100")
        assert phase == "Succeeded", f"{name}: {log}"
        (line,) = [line for line in log.splitlines() if line.startswith("LAUNCHER ")]
        outputs = json.loads(line.removeprefix("LAUNCHER "))
        metadata = {
            key: value["artifacts"][0]["metadata"] for key, value in outputs["artifacts"].items()
        }
        return Step(outputs.get("parameterValues", {}), metadata, outputs["sizes"])

    def _inputs(self, task: dict[str, Any]) -> dict[str, Any]:
        inputs = task.get("inputs", {})
        return {
            "parameterValues": {k: self._value(v) for k, v in inputs.get("parameters", {}).items()},
            "artifacts": {
                name: {"artifacts": [self._artifact(**source["taskOutputArtifact"])]}
                for name, source in inputs.get("artifacts", {}).items()
            },
        }

    def _value(self, source: dict[str, Any]) -> Any:
        if "componentInputParameter" in source:
            name = source["componentInputParameter"]
            parameters = self.documents[0]["root"]["inputDefinitions"]["parameters"]
            value = self.arguments.get(name, parameters[name]["defaultValue"])
            # The package stores all numbers as floats; KFP, in Go, formats 1.0 as 1.
            return int(value) if isinstance(value, float) and value.is_integer() else value
        if "taskOutputParameter" in source:
            output = source["taskOutputParameter"]
            return self.steps[output["producerTask"]].parameters[output["outputParameterKey"]]
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

    def _outputs(self, task: str, definitions: dict[str, Any]) -> dict[str, Any]:
        return {
            "parameters": {
                name: {"outputFile": f"/tmp/kfp/outputs/{name}"}  # noqa: S108 - in the pod
                for name in definitions.get("parameters", {})
            },
            "artifacts": {
                name: {
                    "artifacts": [self._artifact(task, name, spec["artifactType"]["schemaTitle"])]
                }
                for name, spec in definitions.get("artifacts", {}).items()
            },
            "outputFile": "/tmp/kfp_outputs/output_metadata.json",  # noqa: S108 - in the pod
        }

    def _pod(self, name: str, executor: str, executor_input: str) -> dict[str, Any]:
        container = self.documents[0]["deploymentSpec"]["executors"][executor]["container"]
        platform = self.documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"][
            executor
        ]
        resources = container["resources"]
        context = platform["securityContext"]
        main = {
            "name": "main",
            "image": self.image,
            "imagePullPolicy": platform["imagePullPolicy"],
            "command": ["python3", "-c", inspect.getsource(kfp_launcher), executor_input],
            "args": [*container["command"], *container["args"]],
            "env": [*container["env"], *self._environment(platform)],
            "resources": {
                kind: {
                    "cpu": resources[f"resourceCpu{suffix}"],
                    "memory": resources[f"resourceMemory{suffix}"],
                }
                for kind, suffix in (("requests", "Request"), ("limits", "Limit"))
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
                    for each in platform.get("secretAsVolume", ())
                ),
            ],
        }
        spec = {
            "serviceAccountName": ACCOUNT,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": int(platform["activeDeadlineSeconds"]),
            "containers": [main],
            "volumes": [
                *({"name": each.strip("."), "emptyDir": {}} for each in SCRATCH),
                *(
                    {
                        "name": each["secretName"],
                        "secret": {"secretName": each["secretName"], "optional": each["optional"]},
                    }
                    for each in platform.get("secretAsVolume", ())
                ),
            ],
        }
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}

    def _environment(self, platform: dict[str, Any]) -> list[dict[str, Any]]:
        environment = [{"name": name, "value": text} for name, text in self.launcher.items()]
        for kind, plain, reference in (
            ("secretAsEnv", "secret", "secretKeyRef"),
            ("configMapAsEnv", "configMap", "configMapKeyRef"),
        ):
            for source in platform.get(kind, ()):
                for key in source["keyToEnv"]:
                    selector = {
                        "name": source[f"{plain}Name"],
                        "key": key[f"{plain}Key"],
                        "optional": source.get("optional", False),
                    }
                    environment.append({"name": key["envVar"], "valueFrom": {reference: selector}})
        return environment
