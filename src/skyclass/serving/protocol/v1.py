"""KServe V1: JSON with a list of rows, all by name or all by position."""

from collections.abc import Collection
from functools import cache
from itertools import chain, compress
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
    check_values,
    describe_inputs,
    missing_input,
    not_a_number,
    wrong_width,
)
from skyclass.serving.options import EXPECTED_SHARE, Options
from skyclass.serving.prediction import Prediction
from skyclass.serving.protocol.strict_json import StructureError, convert
from skyclass.survey.features import (
    ALL_INPUTS,
    INPUTS,
    OPTIONAL_INPUTS,
    InputGroup,
    Mode,
    model_name,
)
from skyclass.survey.observation import CLASSES, KEY
from skyclass.tables.catalogue.columns import FACTS

_MAX_KEY = 2**31 - 1
_Key = Annotated[float, msgspec.Meta(ge=1, le=_MAX_KEY, multiple_of=1)]
_ABSENT = float("nan")  # JSON cannot express it


@cache
def _define_request(mode: Mode, optional: frozenset[str] = frozenset()) -> type[msgspec.Struct]:
    """Define a request whose rows by name have, optionally, the key.

    Args:
        mode: Mode of the model.
        optional: Inputs that may be null or absent besides INPUTS[mode], which may be among them.
    """
    inputs: list[Any] = [
        (name, float | None, _ABSENT) if name in optional else (name, float)
        for name in ALL_INPUTS[mode]
        if name in optional or name in INPUTS[mode]
    ]
    key: list[Any] = [(name, _Key, _ABSENT) for name in KEY]
    by_name: Any = msgspec.defstruct("Row", inputs + key, forbid_unknown_fields=True, kw_only=True)
    by_position: Any = tuple[tuple(kind for _, kind, *_ in inputs[: len(INPUTS[mode])])]  # type: ignore[misc]
    rows: Any = list[by_name | by_position]
    return msgspec.defstruct("Request", [("instances", rows)])


Probabilities = msgspec.defstruct(
    "Probabilities",
    [(name, Annotated[float, msgspec.Meta(ge=0, le=1.000001)]) for name in CLASSES],
    gc=False,  # large responses would trigger garbage collections, and there are no cycles
)


ClassName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(CLASSES)})]
GroupName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(InputGroup)})]


class RowPrediction(msgspec.Struct, rename={"class_": "class"}, gc=False):
    """The prediction for one row.

    `groups` names the groups of optional inputs that the model used, if the row has some; `labels`
    are the classes of the label set, if the request has a coverage; `certain` is whether the row
    belongs to a sample of the requested purity; `out_of_domain` is whether the row is unlike those
    that the model was trained on, if the release can tell.
    """

    class_: ClassName
    probabilities: Probabilities  # type: ignore[valid-type]
    flags: list[str] | msgspec.UnsetType = msgspec.UNSET
    groups: list[GroupName] | msgspec.UnsetType = msgspec.UNSET
    labels: list[ClassName] | msgspec.UnsetType = msgspec.UNSET
    certain: bool | msgspec.UnsetType = msgspec.UNSET
    out_of_domain: bool | msgspec.UnsetType = msgspec.UNSET


class PredictResponse(msgspec.Struct):
    """The response to a V1 request."""

    predictions: list[RowPrediction]
    model_version: str


_encoder = msgspec.json.Encoder()


def read_request(
    payload: dict[str, Any], mode: Mode, max_rows: int, missing_bands: Collection[str] = ()
) -> Inputs:
    """Read the rows of a V1 request.

    Args:
        payload: `{"instances": [...]}` with rows that are all lists in the order of INPUTS[mode],
            or all objects with those names and, optionally, names of OPTIONAL_INPUTS[mode] and the
            three parts of the key. An optional input that was not measured is null or absent.
        mode: Mode of the model.
        max_rows: Limit on the number of rows.
        missing_bands: Magnitudes that the release can do without; a row may lack one of them.

    Raises:
        RequestError: The request is invalid.
    """
    optional: frozenset[str] = frozenset()
    try:
        rows = _convert_rows(payload, mode, optional)
    except StructureError:  # most requests have only the required inputs, which takes less time
        optional = frozenset((*OPTIONAL_INPUTS[mode], *missing_bands))
        try:
            rows = _convert_rows(payload, mode, optional)
        except StructureError as error:
            raise _explain(error, mode, optional) from None
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
        width = len(ALL_INPUTS[mode]) if optional else width
        columns = width + len(KEY)
        cells = chain.from_iterable(map(astuple, rows))
        table = np.fromiter(cells, np.float64, len(rows) * columns).reshape(-1, columns)
        values, keys = table[:, :width], _check_keys(table[:, width:])
    return Inputs(values, check_values(values, mode, missing_bands), keys)


def read_options(payload: dict[str, Any]) -> Options:
    """Read the options of a V1 request.

    Raises:
        RequestError: 400, an option is not a number between 0 and 1.
    """
    try:
        return convert(payload, Options)
    except StructureError as error:
        raise RequestError(
            400, f"{error.path[0]} is {describe(error.value)}, expected {EXPECTED_SHARE}"
        ) from None


def _convert_rows(payload: dict[str, Any], mode: Mode, optional: frozenset[str]) -> list[Any]:
    request: Any = convert(payload, _define_request(mode, optional))
    return cast(list[Any], request.instances)


def write_response(prediction: Prediction) -> bytes:
    """Encode the response to a V1 request."""
    rows = [
        RowPrediction(name, Probabilities(*row))
        for name, row in zip(prediction.classes, prediction.probabilities.tolist(), strict=True)
    ]
    for row, texts in prediction.flags.items():
        rows[row].flags = texts
    for row, names in prediction.groups.items():
        rows[row].groups = names
    if prediction.labels is not None:
        for each, selected in zip(rows, prediction.labels.tolist(), strict=True):
            each.labels = list(compress(CLASSES, selected))
    if prediction.certain is not None:
        for each, certain in zip(rows, prediction.certain.tolist(), strict=True):
            each.certain = certain
    if prediction.out_of_domain is not None:
        for each, outside in zip(rows, prediction.out_of_domain.tolist(), strict=True):
            each.out_of_domain = outside
    return _encoder.encode(PredictResponse(rows, prediction.model_version))


def describe_rows(mode: Mode) -> tuple[Any, Any, Any]:
    """Return the types of a row for OpenAPI: by position, by name, and by name with a key.

    They are stricter than the types that requests are converted to: what depends on the values is
    checked for all protocols by `check_values`.
    """
    number: Any = Annotated[
        float,
        msgspec.Meta(ge=-MAX_INPUT, le=MAX_INPUT, extra_json_schema={"not": {"const": -9999}}),
    ]
    width = len(INPUTS[mode])
    by_position = Annotated[list[number], msgspec.Meta(min_length=width, max_length=width)]
    inputs: list[Any] = [(name, _describe(number, name)) for name in INPUTS[mode]]
    key: list[Any] = [(name, Annotated[int, msgspec.Meta(ge=1, le=_MAX_KEY)]) for name in KEY]
    optional: list[Any] = [
        (name, _describe(float | None, name), None) for name in OPTIONAL_INPUTS[mode]
    ]
    by_name = msgspec.defstruct("Row", inputs + optional, forbid_unknown_fields=True)
    with_key = msgspec.defstruct("RowWithKey", inputs + key + optional, forbid_unknown_fields=True)
    return by_position, by_name, with_key


def _describe(kind: Any, name: str) -> Any:
    fact = FACTS[name]
    text = f"{fact.description} ({fact.unit})." if fact.unit else f"{fact.description}."
    return Annotated[kind, msgspec.Meta(description=text)]


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


def _explain(error: StructureError, mode: Mode, optional: Collection[str]) -> RequestError:
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
                    f"expected an integer from 1 to {_MAX_KEY}",
                )
            return not_a_number(row, name, error.value)
    raise AssertionError(error)
