"""KFP's type rules: how its drivers pass values through a compiled package.

KFP's local runner passes Python objects whatever the types are, so a package can run locally and
fail on a backend. This follows the driver and the launcher of KFP 2.17.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from skyclass.orchestration.package import Document, Package

Values = dict[str, Any]
Outputs = Mapping[str, Mapping[str, Any]]
"""Return values of each step's output parameters, by task name."""

_KINDS = {
    "NUMBER_DOUBLE": "number",
    "NUMBER_INTEGER": "number",
    "BOOLEAN": "bool",
    "LIST": "list",
    "STRUCT": "struct",
}
"""Kind of value that the driver accepts for each type; it converts anything to a STRING."""


class TypeMismatchError(Exception):
    """KFP's driver would fail the run."""


def pass_values(package: Package, outputs: Outputs) -> dict[str, list[Values]]:
    """Pass the default arguments of a package, and the given outputs, through all of its tasks.

    Returns:
        Input parameters of each executed step, one item per execution, by task name.

    Raises:
        TypeMismatchError: A value does not have the type that its consumer declares.
    """
    received: dict[str, list[Values]] = {}
    root = package.pipeline["root"]
    _run_graph(package.pipeline["components"], root, _accept(root, {}), outputs, received)
    return received


def _run_graph(
    components: Document,
    graph: Document,
    inputs: Values,
    outputs: Outputs,
    received: dict[str, list[Values]],
) -> None:
    """Run the drivers of all tasks of a pipeline or a loop."""
    for name, task in graph["dag"]["tasks"].items():
        component = components[task["componentRef"]["name"]]
        sources = task.get("inputs", {}).get("parameters", {})
        values = {
            key: _resolve(key, source, inputs, components, graph, outputs)
            for key, source in sources.items()
        }
        for accepted in _accept_iterations(component, task, values):
            if "dag" in component:
                _run_graph(components, component, accepted, outputs, received)
            else:
                received.setdefault(name, []).append(accepted)


def _resolve(
    name: str,
    source: Document,
    inputs: Values,
    components: Document,
    graph: Document,
    outputs: Outputs,
) -> Any:
    """Return the value of a task's input before its type is checked."""
    match source:
        case {"componentInputParameter": parameter}:
            return inputs[parameter]
        case {"runtimeValue": {"constant": constant}}:
            return constant
        case {"taskOutputParameter": {"producerTask": producer, "outputParameterKey": key}}:
            component = components[graph["dag"]["tasks"][producer]["componentRef"]["name"]]
            declared = component["outputDefinitions"]["parameters"][key]["parameterType"]
            return _read_output(f"{producer}.{key}", outputs[producer][key], declared)
    raise NotImplementedError(f"source of input {name!r}: {source}")


def _read_output(name: str, value: Any, declared: str) -> Any:
    """Return an output as the launcher reads the text that the step wrote."""
    text = value if isinstance(value, str) else json.dumps(value)
    if declared == "STRING":
        return text
    read = json.loads(text)
    if _kind(read) != _KINDS[declared]:
        raise TypeMismatchError(f"output {name!r}: {_kind(read)} read as {declared}")
    return read


def _accept_iterations(component: Document, task: Document, values: Values) -> Iterator[Values]:
    """Check the inputs of a task, or of each iteration of a loop."""
    iterator = task.get("parameterIterator")
    if iterator is None:
        yield _accept(component, values)
        return
    shared = _accept(component, values, without=iterator["itemInput"])
    match iterator["items"]:
        case {"raw": text}:
            items = json.loads(text)
        case {"inputParameter": parameter}:
            items = shared[parameter]
    for item in json.loads(items) if isinstance(items, str) else items:
        yield _accept(component, {**shared, iterator["itemInput"]: item})


def _accept(component: Document, values: Values, without: str | None = None) -> Values:
    """Check and convert the inputs of a component as the driver does; add its defaults."""
    declared = component.get("inputDefinitions", {}).get("parameters", {})
    given = {
        name: spec["defaultValue"] for name, spec in declared.items() if "defaultValue" in spec
    }
    given |= values
    return {
        name: _convert(name, given[name], spec["parameterType"])
        for name, spec in declared.items()
        if name != without and not (spec.get("isOptional") and name not in given)
    }


def _convert(name: str, value: Any, declared: str) -> Any:
    if declared == "STRING":
        return value if isinstance(value, str) else json.dumps(value)
    if _kind(value) != _KINDS[declared]:
        raise TypeMismatchError(
            f'input parameter "{name}" type mismatch: expect {declared}, got {_kind(value)}'
        )
    return value


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "list"
        case dict():
            return "struct"
    return "null"
