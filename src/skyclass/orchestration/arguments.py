"""Arguments of a pipeline: from `name=value` text to the types that the package declares."""

from collections.abc import Mapping
from typing import Any

from skyclass.errors import TrainingError
from skyclass.orchestration.package import Package, Parameter
from skyclass.training.checks import check_parameters
from skyclass.training.parameters import parse_text

Arguments = dict[str, str | int]


def parse_arguments(package: Package, texts: Mapping[str, str]) -> Arguments:
    """Convert arguments to the types of the package's parameters.

    Raises:
        TrainingError: A parameter is unknown, or its value has the wrong type or is not one of its
            choices.
    """
    for name in texts:
        if name not in package.parameters:
            raise TrainingError(
                f"unknown parameter {name!r}: choose from {', '.join(package.parameters)}"
            )
    return {name: _parse(name, text, package.parameters[name]) for name, text in texts.items()}


def parse_training_arguments(package: Package, texts: Mapping[str, str]) -> Arguments:
    """Convert arguments of the training pipeline, and check them as its first step does.

    Raises:
        TrainingError: A parameter is unknown, or its value is malformed or out of range.
    """
    arguments = parse_arguments(package, texts)
    complete: dict[str, Any] = {
        name: arguments.get(name, parameter.default)
        for name, parameter in package.parameters.items()
        if name != "source_uri"
    }
    check_parameters(**complete)
    return arguments


def _parse(name: str, text: str, parameter: Parameter) -> str | int:
    if parameter.choices and text not in parameter.choices:
        raise TrainingError(f"unknown {name} {text!r}: choose {' or '.join(parameter.choices)}")
    if parameter.type != "NUMBER_INTEGER":
        return parse_text(name, text)
    try:
        return int(text)
    except ValueError:
        raise TrainingError(f"{name} is {text!r}: expected an integer") from None
