"""Errors of V1 requests whose structure is wrong."""

from collections.abc import Collection

from skyclass.serving.errors import RequestError, describe, quote
from skyclass.serving.inputs import (
    MAX_KEY,
    describe_inputs,
    missing_input,
    not_a_number,
    wrong_width,
)
from skyclass.serving.protocol.strict_json import StructureError
from skyclass.survey.features import ALL_INPUTS, INPUTS, Mode, model_name
from skyclass.survey.observation import KEY


def explain(error: StructureError, mode: Mode, optional: Collection[str]) -> RequestError:
    """Name row and field of what differs from the structure of a request.

    Args:
        error: The difference.
        mode: Mode of the model.
        optional: Inputs that may be null or absent.
    """
    names = INPUTS[mode]
    match error.path:
        case ():
            return RequestError(400, "instances is missing: send a list of rows")
        case (_,):
            return RequestError(400, f"instances is {describe(error.value)}, expected a list")
        case (_, int(row)):
            if isinstance(error.value, dict):
                for name in names:
                    if name not in error.value and name not in optional:
                        return missing_input(row, name, mode)
                known = (*ALL_INPUTS[mode], *KEY)
                name = next(name for name in error.value if name not in known)
                return RequestError(
                    422,
                    f"row {row}: {quote(name)} is not an input of {model_name(mode)}, "
                    f"expected {describe_inputs(mode)}",
                )
            if isinstance(error.value, list):
                return wrong_width(row, len(error.value), mode)
            return RequestError(
                422,
                f"row {row} is {describe(error.value)}, expected an object or a list of "
                f"{', '.join(names)}",
            )
        case (_, int(row), field):
            name = field if isinstance(field, str) else names[field]
            if name in KEY:
                return RequestError(
                    422,
                    f"row {row}: {name} is {describe(error.value)}, "
                    f"expected an integer from 1 to {MAX_KEY}",
                )
            return not_a_number(row, name, error.value)
    raise AssertionError(error)
