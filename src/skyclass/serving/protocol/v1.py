"""KServe V1: JSON with a list of rows, all by name or all by position."""

from itertools import chain
from typing import Annotated, Any, cast

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import astuple

from skyclass.serving.errors import RequestError, describe, quote
from skyclass.serving.inputs import (
    MAX_INPUT,
    Inputs,
    Matrix,
    check_row_count,
    find_flags,
    missing_input,
    not_a_number,
    wrong_width,
)
from skyclass.serving.predictor import Prediction
from skyclass.serving.protocol.strict_json import StructureError, convert
from skyclass.survey.features import INPUTS, Mode, model_name
from skyclass.survey.observation import CLASSES, KEY

_MAX_KEY = 2**31 - 1
_Key = Annotated[float, msgspec.Meta(ge=1, le=_MAX_KEY, multiple_of=1)]
_NO_KEY = float("nan")  # JSON cannot express it


def _define_row(mode: Mode) -> type[msgspec.Struct]:
    """Define a row by name: the mode's inputs and, optionally, the key."""
    fields: list[Any] = [(name, float) for name in INPUTS[mode]]
    fields += [(name, _Key, _NO_KEY) for name in KEY]
    return msgspec.defstruct("Row", fields, forbid_unknown_fields=True)


def _define_request(mode: Mode) -> type[msgspec.Struct]:
    by_name: Any = _define_row(mode)
    by_position: Any = tuple[(float,) * len(INPUTS[mode])]  # type: ignore[misc]
    rows: Any = list[by_name | by_position]
    return msgspec.defstruct("Request", [("instances", rows)])


_REQUESTS = {mode: _define_request(mode) for mode in Mode}

Probabilities = msgspec.defstruct(
    "Probabilities",
    [(name, Annotated[float, msgspec.Meta(ge=0, le=1.000001)]) for name in CLASSES],
)


class RowPrediction(msgspec.Struct, rename={"class_": "class"}):
    """The prediction for one row."""

    class_: Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(CLASSES)})]
    probabilities: Probabilities  # type: ignore[valid-type]
    flags: list[str] | msgspec.UnsetType = msgspec.UNSET


class PredictResponse(msgspec.Struct):
    """The response to a V1 request."""

    predictions: list[RowPrediction]
    model_version: str


_encoder = msgspec.json.Encoder()


def read_request(payload: dict[str, Any], mode: Mode, max_rows: int) -> Inputs:
    """Read the rows of a V1 request.

    Args:
        payload: `{"instances": [...]}` with rows that are all lists in the order of INPUTS[mode],
            or all objects with those names and, optionally, the three parts of the key.
        mode: Mode of the model.
        max_rows: Limit on the number of rows.

    Raises:
        RequestError: The request is invalid.
    """
    try:
        rows: list[Any] = cast(Any, convert(payload, _REQUESTS[mode])).instances
    except StructureError as error:
        raise _explain(error, mode) from None
    check_row_count(len(rows), max_rows)
    kinds = set(map(type, rows))
    if len(kinds) > 1:
        row = next(at for at, each in enumerate(rows) if type(each) is not type(rows[0]))
        given = payload["instances"]
        raise RequestError(
            422,
            f"row {row} is {describe(given[row])}, row 0 is {describe(given[0])}: "
            "use one form for all rows",
        )
    width = len(INPUTS[mode])
    if kinds == {tuple}:
        values = np.fromiter(chain.from_iterable(rows), np.float64, len(rows) * width)
        values, keys = values.reshape(-1, width), None
    else:
        columns = width + len(KEY)
        cells = chain.from_iterable(map(astuple, rows))
        table = np.fromiter(cells, np.float64, len(rows) * columns).reshape(-1, columns)
        values, keys = table[:, :width], _check_keys(table[:, width:])
    return Inputs(values, find_flags(values, mode), keys)


def write_response(prediction: Prediction) -> bytes:
    """Encode the response to a V1 request."""
    rows = [
        RowPrediction(name, Probabilities(*row))
        for name, row in zip(prediction.classes, prediction.probabilities.tolist(), strict=True)
    ]
    for row, texts in prediction.flags.items():
        rows[row].flags = texts
    return _encoder.encode(PredictResponse(rows, prediction.model_version))


def describe_rows(mode: Mode) -> tuple[Any, Any, Any]:
    """Return the types of a row for OpenAPI: by position, by name, and by name with a key.

    They are stricter than the types that requests are converted to: what depends on the values is
    checked for all protocols by `find_flags`.
    """
    number: Any = Annotated[
        float,
        msgspec.Meta(ge=-MAX_INPUT, le=MAX_INPUT, extra_json_schema={"not": {"const": -9999}}),
    ]
    width = len(INPUTS[mode])
    by_position = Annotated[list[number], msgspec.Meta(min_length=width, max_length=width)]
    inputs: list[Any] = [(name, number) for name in INPUTS[mode]]
    key: list[Any] = [(name, Annotated[int, msgspec.Meta(ge=1, le=_MAX_KEY)]) for name in KEY]
    by_name = msgspec.defstruct("Row", inputs, forbid_unknown_fields=True)
    with_key = msgspec.defstruct("RowWithKey", inputs + key, forbid_unknown_fields=True)
    return by_position, by_name, with_key


def _check_keys(keys: Matrix) -> npt.NDArray[np.int32] | None:
    absent = np.isnan(keys)
    if absent.all():
        return None
    incomplete = absent.any(axis=1) & ~absent.all(axis=1)
    if incomplete.any():
        row = int(incomplete.argmax())
        name = KEY[int(absent[row].argmax())]
        raise RequestError(
            422, f"row {row}: {name} is missing: send all of {', '.join(KEY)}, or none"
        )
    return np.where(absent, 0, keys).astype(np.int32)


def _explain(error: StructureError, mode: Mode) -> RequestError:
    """Name row and field of what differs from the structure of a request."""
    names = INPUTS[mode]
    match error.path:
        case ():
            return RequestError(400, "instances is missing: send a list of rows")
        case (_,):
            return RequestError(400, f"instances is {describe(error.value)}, expected a list")
        case (_, int(row)):
            if isinstance(error.value, dict):
                for name in names:
                    if name not in error.value:
                        return missing_input(row, name, mode)
                name = next(name for name in error.value if name not in (*names, *KEY))
                return RequestError(
                    422,
                    f"row {row}: {quote(name)} is not an input of {model_name(mode)}, "
                    f"expected {', '.join(names)}",
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
                    f"expected an integer from 1 to {_MAX_KEY}",
                )
            return not_a_number(row, name, error.value)
    raise AssertionError(error)
