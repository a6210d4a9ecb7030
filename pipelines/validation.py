"""Checks a compiled package before anything applies it.

KFP's API server takes a package with a dangling reference, and then its run form answers 500.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from google.protobuf import json_format
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

from skyclass.errors import SkyclassError

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""What Kubernetes takes as a name everywhere (DNS-1123 label)."""
_PINNED = re.compile(r"[^@\s]+(@sha256:[0-9a-f]{64}|:(?!latest$)[\w.-]+)")
_NUMBER = (int, float)  # KFP's intermediate representation knows no whole numbers
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "STRING": str,
    "NUMBER_INTEGER": _NUMBER,
    "NUMBER_DOUBLE": _NUMBER,
    "BOOLEAN": bool,
}

Document = Mapping[str, Any]


class PackageError(SkyclassError):
    """A compiled package is not fit to be applied."""


def check_package(version: str, pipeline: Document, platform: Document) -> None:
    """Refuse a package that a backend would take, and then stumble over.

    Args:
        version: What it will be called.
        pipeline: Its first document.
        platform: Its second: what the pods of the steps are given.

    Raises:
        PackageError: It names the first thing that is wrong.
    """
    for problem in _problems(version, pipeline, platform):
        raise PackageError(f"package {version}: {problem}: correct pipelines/ and compile again")


def _problems(version: str, pipeline: Document, platform: Document) -> Iterator[str]:
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    try:
        json_format.ParseDict(pipeline, PipelineSpec())
        for pod in pods.values():
            json_format.ParseDict(pod, KubernetesExecutorConfig())
    except json_format.ParseError as error:
        yield f"KFP cannot read it ({str(error).splitlines()[0]})"
        return
    names = [name for tasks in all_tasks(pipeline) for name in tasks]
    for name in (version, pipeline["pipelineInfo"]["name"], *names):
        if not _NAME.fullmatch(name):
            yield f"{name!r} is no name for Kubernetes"
    executors = pipeline["deploymentSpec"]["executors"]
    yield from _references(list(all_tasks(pipeline)), pipeline["components"], executors)
    yield from _unknown("the platform's executor", pods, executors)
    for name, executor in executors.items():
        image = executor["container"]["image"]
        if not _PINNED.fullmatch(image):
            yield f"{name} runs {image!r}, which is no immutable tag or digest"
        if not pods.get(name, {}).get("securityContext", {}).get("runAsNonRoot"):
            yield f"{name} does not say that it runs without root, and `restricted` refuses it"
    for name, parameter in pipeline["root"]["inputDefinitions"]["parameters"].items():
        yield from _parameter(name, parameter)


def all_tasks(pipeline: Document) -> Iterator[Document]:
    """The tasks of the pipeline and of each of its loops."""
    for part in (pipeline["root"], *pipeline["components"].values()):
        if "dag" in part:
            yield part["dag"]["tasks"]


def _references(graphs: list[Document], components: Document, executors: Document) -> Iterator[str]:
    """Tasks name components, components name executors, and nothing is left over."""
    used = {task["componentRef"]["name"] for tasks in graphs for task in tasks.values()}
    labels = {each["executorLabel"] for each in components.values() if "dag" not in each}
    for tasks in graphs:
        for name, task in tasks.items():
            yield from _unknown(f"task {name} waits for", task.get("dependentTasks", ()), tasks)
    yield from _unknown("a task's component", used, components)
    yield from _unknown("a component's executor", labels, executors)
    for name in {*components} - used | {*executors} - labels:
        yield f"nothing uses {name}"


def _parameter(name: str, spec: Document) -> Iterator[str]:
    kind, default = spec["parameterType"], spec.get("defaultValue")
    if default is None:
        yield f"parameter {name} has no default, and the run form would not start"
    elif not isinstance(default, _TYPES[kind]):
        yield f"the default of parameter {name}, {default!r}, is no {kind}"
    if "literals" in spec and default not in spec["literals"]:
        yield f"the default of parameter {name}, {default!r}, is none of its choices"


def _unknown(what: str, names: Iterable[str], known: Document) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield f"{what} {name} does not exist"
