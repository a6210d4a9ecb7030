"""Checks a compiled package before anything applies it.

KFP's API server takes a package with a dangling reference, and then its run form answers 500.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from skyclass.errors import SkyclassError

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""What Kubernetes takes as a name everywhere (DNS-1123 label)."""
_PINNED = re.compile(r"[^@\s]+(@sha256:[0-9a-f]{64}|:(?!latest$)[\w.-]+)")
_TYPES = {"STRING": str, "NUMBER_INTEGER": int, "NUMBER_DOUBLE": float, "BOOLEAN": bool}

Document = Mapping[str, Any]


class PackageError(SkyclassError):
    """A compiled package is not fit to be applied."""


def check_package(pipeline: Document, platform: Document) -> None:
    """Refuse a package that a backend would take, and then stumble over.

    Args:
        pipeline: Its first document.
        platform: Its second: what the pods of the steps are given.

    Raises:
        PackageError: It names the first thing that is wrong.
    """
    for problem in _problems(pipeline, platform):
        name = pipeline.get("pipelineInfo", {}).get("name", "?")
        raise PackageError(f"package {name}: {problem}: correct pipelines/ and compile again")


def check_objects(objects: list[dict[str, Any]], version: str) -> None:
    """Refuse Pipeline and PipelineVersion objects that do not belong together.

    Args:
        objects: The two, in this order.
        version: The name that the content gives.

    Raises:
        PackageError: It says what is wrong.
    """
    pipeline, named = objects
    for name in (pipeline["metadata"]["name"], named["metadata"]["name"]):
        if not _NAME.fullmatch(name):
            raise PackageError(f"object {name!r} has no name for Kubernetes: rename the pipeline")
    if named["spec"]["pipelineName"] != pipeline["metadata"]["name"]:
        raise PackageError(
            f"version {named['metadata']['name']} is of {named['spec']['pipelineName']}, "
            f"not of {pipeline['metadata']['name']}: compile again"
        )
    if named["metadata"]["name"] != version:
        raise PackageError(
            f"version {named['metadata']['name']} does not follow its content, "
            f"which is {version}: compile again"
        )
    check_package(named["spec"]["pipelineSpec"], named["spec"]["platformSpec"])


def _problems(pipeline: Document, platform: Document) -> Iterator[str]:
    name = pipeline["pipelineInfo"]["name"]
    if not _NAME.fullmatch(name):
        yield f"{name!r} is no name for Kubernetes"
    executors = pipeline["deploymentSpec"]["executors"]
    yield from _references(pipeline, executors)
    yield from _dangling("the platform's executor", _platform(platform), executors)
    for executor, spec in executors.items():
        if not _PINNED.fullmatch(spec["container"]["image"]):
            yield (
                f"{executor} runs {spec['container']['image']!r}, "
                "which is no immutable tag or digest"
            )
    for parameter, spec in pipeline["root"]["inputDefinitions"]["parameters"].items():
        yield from _parameter(parameter, spec)


def _references(pipeline: Document, executors: Document) -> Iterator[str]:
    """Tasks name components, components name executors, and nothing is left over."""
    tasks, components = pipeline["root"]["dag"]["tasks"], pipeline["components"]
    used = {name: spec["componentRef"]["name"] for name, spec in tasks.items()}
    for task in tasks:
        if not _NAME.fullmatch(task):
            yield f"task {task!r} is no name for Kubernetes"
    for task, spec in tasks.items():
        yield from _dangling(f"task {task} waits for", spec.get("dependentTasks", ()), tasks)
    yield from _dangling("a task's component", used.values(), components)
    yield from _dangling("component without a task:", components, set(used.values()))
    labels = [spec["executorLabel"] for spec in components.values()]
    yield from _dangling("a component's executor", labels, executors)
    yield from _dangling("executor without a component:", executors, labels)


def _platform(platform: Document) -> Document:
    return platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def _parameter(name: str, spec: Document) -> Iterator[str]:
    kind, default = _TYPES.get(spec["parameterType"]), spec.get("defaultValue")
    if default is None:
        yield f"parameter {name} has no default, and the run form would not start"
    # KFP's intermediate representation knows numbers, not whole numbers.
    elif kind is int and isinstance(default, float) and default.is_integer():
        pass
    elif kind is None or type(default) is not kind:
        yield f"the default of parameter {name}, {default!r}, is no {spec['parameterType']}"
    if "literals" in spec and default not in spec["literals"]:
        yield f"the default of parameter {name}, {default!r}, is none of its choices"


def _dangling(what: str, names: Any, known: Any) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield f"{what} {name} does not exist" if what[-1] != ":" else f"{what} {name}"
