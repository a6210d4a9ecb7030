"""Open Inference Protocol (V2): JSON with tensors, whose data may follow the JSON as bytes.

Source: Open Inference Protocol, "Inference Request/Response JSON Object" and its extension for
binary tensor data.
"""

import math
from collections.abc import Mapping, Sequence
from importlib import metadata
from itertools import chain
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import orjson

from skyclass.serving.errors import RequestError, describe, quote
from skyclass.serving.inputs import (
    Inputs,
    Matrix,
    check_row_count,
    find_flags,
    find_non_number,
    missing_input,
    not_a_number,
    to_numbers,
    wrong_width,
)
from skyclass.serving.predictor import MAX_REQUEST_ID_CHARACTERS, Prediction, Predictor
from skyclass.serving.protocol.outputs import OUTPUTS, Output, format_flags
from skyclass.serving.protocol.strict_json import StructureError, convert, parse_json
from skyclass.survey.features import INPUTS, MAGNITUDES, Mode

DTYPES: Mapping[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "FP64": np.dtype("<f8")}
"""Datatypes of inputs, and their binary form."""

OutputName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(OUTPUTS)})]


class TensorParameters(msgspec.Struct):
    """Parameters of an input."""

    binary_data_size: int | None = None


class Tensor(msgspec.Struct):
    """An input: its data is a JSON list, flat or nested, or `raw` bytes."""

    name: str
    shape: list[Annotated[int, msgspec.Meta(ge=0)]]
    datatype: Literal["FP32", "FP64"]
    data: list[Any] | msgspec.UnsetType = msgspec.UNSET
    parameters: TensorParameters | None = None


class OutputParameters(msgspec.Struct):
    """Parameters of a requested output."""

    binary_data: bool | None = None


class RequestedOutput(msgspec.Struct):
    """An output that the client wants."""

    name: OutputName
    parameters: OutputParameters | None = None


class RequestParameters(msgspec.Struct):
    """Parameters of a request."""

    binary_data_output: bool | None = None


class InferRequest(msgspec.Struct):
    """A V2 request."""

    inputs: Annotated[list[Tensor], msgspec.Meta(min_length=1)]
    id: Annotated[str, msgspec.Meta(max_length=MAX_REQUEST_ID_CHARACTERS)] | None = None
    outputs: list[RequestedOutput] | None = None
    parameters: RequestParameters | None = None


class OutputTensor(msgspec.Struct):
    """An output: its data is here, or follows the JSON as bytes."""

    name: OutputName
    shape: list[int]
    datatype: Annotated[
        str,
        msgspec.Meta(
            extra_json_schema={"enum": sorted({output.datatype for output in OUTPUTS.values()})}
        ),
    ]
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    parameters: TensorParameters | msgspec.UnsetType = msgspec.UNSET


class InferResponse(msgspec.Struct):
    """A V2 response."""

    model_name: str
    model_version: str
    id: str
    outputs: list[OutputTensor]
    parameters: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


_encoder = msgspec.json.Encoder()

_EXPECTED = {
    "name": "text",
    "shape": "a list of integers",
    "datatype": f"one of {', '.join(DTYPES)}",
    "id": f"text of at most {MAX_REQUEST_ID_CHARACTERS} characters",
    "parameters": "an object",
    "binary_data_size": "an integer",
    "binary_data": "true or false",
    "binary_data_output": "true or false",
}
"""What a field has to be; all others are lists."""


def parse_request(
    body: bytes, json_length: str | None, max_nesting: int
) -> tuple[InferRequest, bytes]:
    """Parse a V2 request: its JSON part, and the bytes that follow it.

    Args:
        body: The request body.
        json_length: The header Inference-Header-Content-Length, if there is one.
        max_nesting: Limit on the levels of lists and objects.

    Raises:
        RequestError: 400, or 413 when the nesting is too deep.
    """
    length = len(body)
    if json_length is not None:
        length = int(json_length) if json_length.isdecimal() else 0
        if not 0 < length <= len(body):
            raise RequestError(
                400,
                f"Inference-Header-Content-Length is {quote(json_length)}, expected the length "
                f"of the JSON part of a body of {len(body)} bytes",
            )
    return read_structure(parse_json(body[:length], max_nesting)), body[length:]


def read_structure(payload: dict[str, Any]) -> InferRequest:
    """Check the structure of a request.

    Raises:
        RequestError: 400, a field is missing or has another type.
    """
    try:
        return convert(payload, InferRequest)
    except StructureError as error:
        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.path)
        where = where.removeprefix(".")
        if error.missing:
            where = f"{where}.{error.missing}".removeprefix(".")
            raise RequestError(400, f"{where} is missing: add it") from None
        if error.value == []:
            raise RequestError(400, f"{where} is empty: send at least one tensor") from None
        field = next(step for step in reversed(error.path) if isinstance(step, str))
        expected = _EXPECTED.get(field, "a list")
        if isinstance(error.path[-1], int):  # of a list
            expected = "an integer from 0" if field == "shape" else "an object"
        raise RequestError(
            400, f"{where} is {describe(error.value)}, expected {expected}"
        ) from None


def read_inputs(request: InferRequest, rest: bytes, mode: Mode, max_rows: int) -> Inputs:
    """Read the rows of a V2 request.

    Args:
        request: Its inputs are one tensor of shape [n, len(INPUTS[mode])], of any name, with
            columns in that order; or one of shape [n] or [n, 1] for each of INPUTS[mode], by name,
            in any order.
        rest: The bytes that follow the JSON.
        mode: Mode of the model.
        max_rows: Limit on the number of rows.

    Raises:
        RequestError: The request is invalid.
    """
    tensors = request.inputs
    data = _split_data(tensors, rest)
    if len(tensors) == 1 and tensors[0].name not in INPUTS[mode]:
        values = _read_matrix(tensors[0], data[0], mode, max_rows)
    else:
        values = _read_columns(tensors, data, mode, max_rows)
    return Inputs(values, find_flags(values, mode))


def select_outputs(request: InferRequest) -> list[tuple[Output, bool]]:
    """Return the wanted outputs, each with whether the client wants it in binary form.

    Raises:
        RequestError: 400, there is no such output.
    """
    binary = bool(request.parameters and request.parameters.binary_data_output)
    if request.outputs is None:
        return [(output, binary) for output in OUTPUTS.values()]
    selected = []
    for number, wanted in enumerate(request.outputs):
        output = OUTPUTS.get(wanted.name)
        if output is None:
            raise RequestError(
                400,
                f"outputs[{number}].name is {quote(wanted.name)}, "
                f"expected one of {', '.join(OUTPUTS)}",
            )
        choice = wanted.parameters.binary_data if wanted.parameters else None
        selected.append((output, binary if choice is None else choice))
    return selected


def write_response(
    prediction: Prediction, outputs: Sequence[tuple[Output, bool]], model: str, response_id: str
) -> tuple[bytes, int | None]:
    """Encode the response to a V2 request.

    Args:
        prediction: The prediction.
        outputs: The wanted outputs, as `select_outputs` returns them.
        model: Name of the model.
        response_id: The id of the request, or of its prediction.

    Returns:
        The body, and the length of its JSON part when bytes follow it.
    """
    tensors, raw = [], []
    for output, binary in outputs:
        tensor = OutputTensor(**output.describe(len(prediction.probabilities)))
        if binary:
            raw.append(output.to_bytes(prediction))
            tensor.parameters = TensorParameters(len(raw[-1]))
        else:
            flat = output.to_flat(prediction)
            tensor.data = msgspec.Raw(orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY))
        tensors.append(tensor)
    response = InferResponse(model, prediction.model_version, response_id, tensors)
    if prediction.flags:
        response.parameters = {"flags": format_flags(prediction.flags)}
    head = _encoder.encode(response)
    return b"".join((head, *raw)), len(head) if raw else None


SERVER_METADATA = {
    "name": "skyclass",
    "version": metadata.version("skyclass"),
    "extensions": ["binary_tensor_data"],
}


def describe_model(predictor: Predictor) -> dict[str, Any]:
    """Return the model metadata; `versions` holds the id of the release that is served.

    Inputs are listed as one column each: metadata can name them in no other form.

    Raises:
        RequestError: 503, no model is loaded yet.
    """
    return {
        "name": predictor.name,
        "versions": [predictor.model.release.id],
        "platform": predictor.model.engine_name,
        "inputs": [
            {"name": name, "datatype": "FP64", "shape": [-1]} for name in INPUTS[predictor.mode]
        ],
        "outputs": [output.metadata for output in OUTPUTS.values()],
    }


def _split_data(tensors: Sequence[Tensor], rest: bytes) -> list[list[Any] | bytes]:
    """Return the data of each tensor: its JSON list, or its share of the bytes after the JSON."""
    data: list[list[Any] | bytes] = []
    for number, tensor in enumerate(tensors):
        size = tensor.parameters.binary_data_size if tensor.parameters else None
        if size is None:
            if tensor.data is msgspec.UNSET:
                raise RequestError(400, f"inputs[{number}].data is missing: add it")
            data.append(tensor.data)
            continue
        if not 0 <= size <= len(rest) or tensor.data is not msgspec.UNSET:
            raise RequestError(
                400,
                f"inputs[{number}].parameters.binary_data_size is {size}, {len(rest)} bytes are "
                "left: send that many bytes, and no data field",
            )
        data.append(rest[:size])
        rest = rest[size:]
    if rest:
        raise RequestError(
            400, f"{len(rest)} bytes after the JSON belong to no input: set binary_data_size"
        )
    return data


def _read_matrix(tensor: Tensor, data: list[Any] | bytes, mode: Mode, max_rows: int) -> Matrix:
    names = INPUTS[mode]
    if len(tensor.shape) != 2:
        raise RequestError(
            422,
            f"{quote(tensor.name)} has the shape {tensor.shape}, expected 2 dimensions: rows, and "
            f"{len(names)} columns ({', '.join(names)})",
        )
    check_row_count(tensor.shape[0], max_rows)
    if tensor.shape[1] != len(names):
        raise wrong_width(0, tensor.shape[1], mode)
    if isinstance(data, bytes):
        return _from_bytes(tensor, data).reshape(tensor.shape)
    cells = _flatten(tensor, data)
    values = to_numbers(cells)
    if values is None:
        at = find_non_number(cells)
        row, column = divmod(at, len(names))
        raise not_a_number(row, names[column], cells[at])
    return values.reshape(tensor.shape)


def _read_columns(
    tensors: Sequence[Tensor], data: Sequence[list[Any] | bytes], mode: Mode, max_rows: int
) -> Matrix:
    names = INPUTS[mode]
    columns = {tensor.name: (tensor, each) for tensor, each in zip(tensors, data, strict=True)}
    if mode is Mode.SPECTROSCOPIC and set(columns) == set(MAGNITUDES):
        raise missing_input(0, "redshift", mode)
    if set(columns) != set(names) or len(tensors) != len(names):
        raise RequestError(
            400,
            f"the inputs are {quote(', '.join(tensor.name for tensor in tensors))}, expected one "
            f"matrix or one column each of {', '.join(names)}",
        )
    rows = math.prod(tensors[0].shape)
    for name in names:
        shape = columns[name][0].shape
        if shape not in ([rows], [rows, 1]):
            raise RequestError(
                400, f"{name} has the shape {shape}, expected [{rows}] or [{rows}, 1]"
            )
    check_row_count(rows, max_rows)
    return np.stack([_read_column(*columns[name]) for name in names], axis=1)


def _read_column(tensor: Tensor, data: list[Any] | bytes) -> Matrix:
    if isinstance(data, bytes):
        return _from_bytes(tensor, data)
    cells = _flatten(tensor, data)
    values = to_numbers(cells)
    if values is None:
        row = find_non_number(cells)
        raise not_a_number(row, tensor.name, cells[row])
    return values


def _flatten(tensor: Tensor, data: list[Any]) -> list[Any]:
    """Return the values of a JSON tensor, flat or nested, in row-major order."""
    if len(tensor.shape) == 2 and set(map(type, data)) == {list}:
        count, width = tensor.shape
        if len(data) != count:
            raise _shape_mismatch(tensor, f"{len(data)} rows")
        lengths = list(map(len, data))
        if set(lengths) == {lengths[0]} != {width}:
            raise _shape_mismatch(tensor, f"rows of {lengths[0]} values")
        if set(lengths) != {width}:
            row = next(at for at, length in enumerate(lengths) if length != width)
            raise RequestError(422, f"row {row}: {lengths[row]} values, expected {width}")
        data = list(chain.from_iterable(data))
    if len(data) != math.prod(tensor.shape):
        raise _shape_mismatch(tensor, f"{len(data)} values")
    return data


def _from_bytes(tensor: Tensor, data: bytes) -> Matrix:
    """Return the values of a binary tensor in row-major order."""
    dtype = DTYPES[tensor.datatype]
    if len(data) != math.prod(tensor.shape) * dtype.itemsize:
        raise _shape_mismatch(tensor, f"{len(data)} bytes")
    return np.frombuffer(data, dtype).astype(np.float64)


def _shape_mismatch(tensor: Tensor, found: str) -> RequestError:
    return RequestError(
        400, f"{quote(tensor.name)} has the shape {tensor.shape}, its data has {found}"
    )
