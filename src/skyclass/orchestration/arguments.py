"""Arguments of a pipeline: from `name=value` text to the types that the package declares."""

from collections.abc import Mapping
from typing import Any

from skyclass.errors import TrainingError
from skyclass.orchestration.package import Package, Parameter
from skyclass.training.checks import check_parameters
from skyclass.training.parameters import parse_text

Arguments = dict[str, str | int]


def parse_training_arguments(package: Package, texts: Mapping[str, str]) -> Arguments:
    """Convert arguments to the types of the package's parameters, and check them.

    The checks are those of the first step, so that an invalid run is not started.

    Raises:
        TrainingError: A parameter is unknown, or its value is malformed or out of range.
    """
    for name in texts:
        if name not in package.parameters:
            raise TrainingError(
                f"unknown parameter {name!r}: choose from {', '.join(package.parameters)}"
            )
    arguments = {name: _parse(name, text, package.parameters[name]) for name, text in texts.items()}
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
