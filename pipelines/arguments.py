"""What a person typed as arguments of the training pipeline, in the types that it takes."""

from collections.abc import Mapping

from pipelines.training import CHOICES, training
from skyclass.errors import TrainingError


def typed(parameters: Mapping[str, str]) -> dict[str, str | int]:
    """Give arguments their types.

    Raises:
        TrainingError: A parameter is unknown, or no whole number where it has to be one.
    """
    return {name: _typed(name, value) for name, value in parameters.items()}


def check_choices(arguments: Mapping[str, str | int]) -> None:
    """Refuse what KFP's run form would not offer.

    Raises:
        TrainingError: It names the argument, and the choices.
    """
    for name, choices in CHOICES.items():
        if name in arguments and arguments[name] not in choices:
            raise TrainingError(
                f"unknown {name} {arguments[name]!r}: choose {' or '.join(choices)}"
            )


def _typed(name: str, value: str) -> str | int:
    inputs = training.component_spec.inputs or {}
    if name not in inputs:
        raise TrainingError(f"unknown parameter {name!r}: choose from {', '.join(inputs)}")
    if inputs[name].type != "Integer":
        return value
    try:
        return int(value)
    except ValueError:
        raise TrainingError(f"{name} is a whole number, not {value!r}") from None
