"""Reads V2 requests: JSON with tensors, whose data may follow the JSON as bytes.

Source: Open Inference Protocol, "Inference Request/Response JSON Object", and its extension for
binary tensor data.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from skyclass.serving.objects import (
    Numbers,
    Objects,
    Refusal,
    as_numbers,
    check_size,
    describe,
    echo,
    find_flags,
    from_cells,
    missing,
    not_a_number,
    wrong_count,
)
from skyclass.serving.strict_json import parse_json
from skyclass.survey.features import INPUTS, MAGNITUDES, Mode

CLASS_OUTPUT = "class"
PROBABILITIES_OUTPUT = "probabilities"
OUTPUTS = (CLASS_OUTPUT, PROBABILITIES_OUTPUT)

DTYPES: Mapping[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "FP64": np.dtype("<f8")}
"""The datatypes of inputs, and how their bytes are laid out."""


@dataclass(frozen=True)
class Tensor:
    """An input of a V2 request.

    Attributes:
        name: Its name.
        shape: Its dimensions, none of them negative.
        datatype: One of `DTYPES`.
        data: JSON lists, flat or nested, or bytes.
    """

    name: str
    shape: tuple[int, ...]
    datatype: str
    data: list[Any] | bytes


@dataclass(frozen=True)
class V2Request:
    """A V2 request whose form is right.

    Attributes:
        id: The caller's name for it.
        tensors: Its inputs.
        outputs: The wanted outputs, each with whether its data is wanted as bytes.
    """

    id: str | None
    tensors: tuple[Tensor, ...]
    outputs: tuple[tuple[str, bool], ...]


def parse_v2(body: bytes, json_length: str | None, max_nesting: int) -> V2Request:
    """Parse the body of a V2 request.

    Args:
        body: JSON, and after it the bytes of those tensors that say so.
        json_length: The header Inference-Header-Content-Length, if there are such bytes.
        max_nesting: How deep lists and objects may lie in each other.

    Raises:
        Refusal: 400, or 413 when it is nested too deeply.
    """
    length = len(body)
    if json_length is not None:
        length = int(json_length) if json_length.isdecimal() else 0
        if not 0 < length <= len(body):
            raise Refusal(
                400, "Inference-Header-Content-Length is not the length of the body's JSON part"
            )
    return check_v2(parse_json(body[:length], max_nesting), body[length:])


def check_v2(request: dict[str, Any], rest: bytes = b"") -> V2Request:
    """Check the form of a V2 request.

    Args:
        request: Its parsed JSON.
        rest: The bytes that follow the JSON.

    Raises:
        Refusal: 400.
    """
    tensors = []
    for number, each in enumerate(_list(request, "inputs", "the request")):
        tensor, used = _parse_tensor(each, f"inputs[{number}]", rest)
        tensors.append(tensor)
        rest = rest[used:]
    if not tensors:
        raise Refusal(400, "inputs is empty: send at least one tensor")
    if rest:
        raise Refusal(400, f"{len(rest)} bytes follow the JSON that no input claims")
    name = request.get("id")
    if not isinstance(name, str | None):
        raise Refusal(400, f"id is {describe(name)}, text is needed")
    return V2Request(name, tuple(tensors), _parse_outputs(request))


def read_v2(tensors: Sequence[Tensor], mode: Mode, max_rows: int) -> Objects:
    """Read the objects of a V2 request.

    Args:
        tensors: One of shape [n, len(INPUTS[mode])], of any name, with columns in that order; or
            one of shape [n] or [n, 1] for each of INPUTS[mode], by name, in any order.
        mode: The mode of the model that is asked.
        max_rows: The most rows that are allowed.

    Raises:
        Refusal: The request cannot be answered.
    """
    if len(tensors) == 1 and tensors[0].name not in INPUTS[mode]:
        inputs = _read_matrix(tensors[0], mode, max_rows)
    else:
        inputs = _read_columns(tensors, mode, max_rows)
    return Objects(inputs, find_flags(inputs, mode))


def _parse_tensor(given: Any, where: str, rest: bytes) -> tuple[Tensor, int]:
    """Parse one input, and say how many of the bytes that follow the JSON are its own."""
    name = given.get("name") if isinstance(given, dict) else None
    if not isinstance(name, str):
        raise Refusal(400, f"{where} is not an object with a name")
    where = f"{where} ({echo(name)})"
    datatype = given.get("datatype")
    if not isinstance(datatype, str) or datatype not in DTYPES:
        raise Refusal(400, f"{where}: the datatype is not one of {', '.join(DTYPES)}")
    shape = _list(given, "shape", where)
    if not set(map(type, shape)) <= {int} or min(shape, default=0) < 0:
        raise Refusal(400, f"{where}: shape does not consist of whole numbers from 0 up")
    size = _parameters(given, where).get("binary_data_size")
    if size is None:
        return Tensor(name, tuple(shape), datatype, _list(given, "data", where)), 0
    if type(size) is not int or not 0 <= size <= len(rest) or "data" in given:
        raise Refusal(
            400, f"{where}: binary_data_size does not fit the {len(rest)} bytes that are left"
        )
    return Tensor(name, tuple(shape), datatype, rest[:size]), size


def _parse_outputs(request: dict[str, Any]) -> tuple[tuple[str, bool], ...]:
    binary = _parameters(request, "the request").get("binary_data_output") is True
    if request.get("outputs") is None:
        return tuple((name, binary) for name in OUTPUTS)
    wanted = []
    for number, each in enumerate(_list(request, "outputs", "the request")):
        name = each.get("name") if isinstance(each, dict) else None
        if name not in OUTPUTS:
            raise Refusal(400, f"outputs[{number}] names none of {', '.join(OUTPUTS)}")
        choice = _parameters(each, f"outputs[{number}]").get("binary_data", binary)
        wanted.append((name, choice is True))
    return tuple(wanted)


def _parameters(given: dict[str, Any], where: str) -> dict[str, Any]:
    value = given.get("parameters")
    if not isinstance(value, dict | None):
        raise Refusal(400, f"{where}: parameters is {describe(value)}, an object is needed")
    return value or {}


def _list(given: dict[str, Any], name: str, where: str) -> list[Any]:
    value = given.get(name)
    if not isinstance(value, list):
        found = "missing" if value is None else describe(value)
        raise Refusal(400, f"{where}: {name} is {found}, a list is needed")
    return value


def _read_matrix(tensor: Tensor, mode: Mode, max_rows: int) -> Numbers:
    names = INPUTS[mode]
    if len(tensor.shape) != 2:
        raise Refusal(
            422,
            f"{echo(tensor.name)} has {len(tensor.shape)} dimensions, 2 are needed: objects, and "
            f"the {len(names)} values of each ({', '.join(names)})",
        )
    check_size(tensor.shape[0], max_rows)
    if tensor.shape[1] != len(names):
        raise wrong_count(0, tensor.shape[1], mode)
    if isinstance(tensor.data, bytes):
        return _from_bytes(tensor, tensor.data).reshape(tensor.shape)
    return from_cells(_cells(tensor, tensor.data), mode)


def _read_columns(tensors: Sequence[Tensor], mode: Mode, max_rows: int) -> Numbers:
    names = INPUTS[mode]
    by_name = {tensor.name: tensor for tensor in tensors}
    if mode is Mode.SPECTROSCOPIC and set(by_name) == set(MAGNITUDES):
        raise missing(0, "redshift", mode)
    if set(by_name) != set(names) or len(tensors) != len(names):
        raise Refusal(
            400, f"the inputs are neither one matrix nor one column each of {', '.join(names)}"
        )
    rows = math.prod(tensors[0].shape)
    for name in names:
        if by_name[name].shape not in ((rows,), (rows, 1)):
            raise Refusal(
                400,
                f"{name} has the shape {list(by_name[name].shape)}, columns of one length "
                "are needed",
            )
    check_size(rows, max_rows)
    return np.stack([_read_column(by_name[name]) for name in names], axis=1)


def _read_column(tensor: Tensor) -> Numbers:
    if isinstance(tensor.data, bytes):
        return _from_bytes(tensor, tensor.data)
    cells = _cells(tensor, tensor.data)
    numbers = as_numbers(cells)
    if numbers is None:
        row = next(at for at, cell in enumerate(cells) if as_numbers([cell]) is None)
        raise not_a_number(row, tensor.name, cells[row])
    return numbers


def _cells(tensor: Tensor, data: list[Any]) -> list[Any]:
    """The values of a JSON tensor in a row, as they came."""
    if len(tensor.shape) == 2 and set(map(type, data)) == {list}:
        count, width = tensor.shape
        if len(data) != count:
            raise _disagreement(tensor, f"{len(data)} rows")
        lengths = list(map(len, data))
        if set(lengths) == {lengths[0]} != {width}:
            raise _disagreement(tensor, f"rows of {lengths[0]} values")
        if set(lengths) != {width}:
            row = next(at for at, length in enumerate(lengths) if length != width)
            raise Refusal(422, f"row {row}: {lengths[row]} values where {width} are needed")
        data = list(chain.from_iterable(data))
    if len(data) != math.prod(tensor.shape):
        raise _disagreement(tensor, f"{len(data)} values")
    return data


def _from_bytes(tensor: Tensor, data: bytes) -> Numbers:
    """The numbers of a binary tensor, in a row."""
    dtype = DTYPES[tensor.datatype]
    if len(data) != math.prod(tensor.shape) * dtype.itemsize:
        raise _disagreement(tensor, f"{len(data)} bytes")
    return np.frombuffer(data, dtype).astype(np.float64)


def _disagreement(tensor: Tensor, found: str) -> Refusal:
    return Refusal(
        400, f"{echo(tensor.name)} has the shape {list(tensor.shape)}, but holds {found}"
    )
