"""What a person typed as arguments of the training pipeline, in the types that it takes."""

from collections.abc import Mapping

from pipelines.training import CHOICES, training
from skyclass.errors import TrainingError

Arguments = dict[str, str | int]


def typed(parameters: Mapping[str, str]) -> Arguments:
    """Give arguments their types, and refuse what KFP's run form would not take.

    Raises:
        TrainingError: A parameter is unknown, no whole number where it has to be one, or none of
            its choices.
    """
    return {name: _typed(name, value) for name, value in parameters.items()}


def _typed(name: str, value: str) -> str | int:
    inputs = training.component_spec.inputs or {}
    if name not in inputs:
        raise TrainingError(f"unknown parameter {name!r}: choose from {', '.join(inputs)}")
    if name in CHOICES and value not in CHOICES[name]:
        raise TrainingError(f"unknown {name} {value!r}: choose {' or '.join(CHOICES[name])}")
    if inputs[name].type != "Integer":
        return value
    try:
        return int(value)
    except ValueError:
        raise TrainingError(f"{name} is a whole number, not {value!r}") from None
