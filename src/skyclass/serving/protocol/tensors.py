"""The input tensors of V2 and gRPC requests: their types, and how rows are read from them."""

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from skyclass.serving.errors import RequestError, quote
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
from skyclass.survey.features import INPUTS, MAGNITUDES, Mode

DTYPES: Mapping[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "FP64": np.dtype("<f8")}
"""Datatypes of inputs, and their binary form."""


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


def read_inputs(tensors: Sequence[Tensor], rest: bytes, mode: Mode, max_rows: int) -> Inputs:
    """Read the rows of a V2 request.

    Args:
        tensors: One tensor of shape [n, len(INPUTS[mode])], of any name, with
            columns in that order; or one of shape [n] or [n, 1] for each of INPUTS[mode], by name,
            in any order.
        rest: The bytes that follow the JSON.
        mode: Mode of the model.
        max_rows: Limit on the number of rows.

    Raises:
        RequestError: The request is invalid.
    """
    data = _split_data(tensors, rest)
    if len(tensors) == 1 and tensors[0].name not in INPUTS[mode]:
        values = _read_matrix(tensors[0], data[0], mode, max_rows)
    else:
        values = _read_columns(tensors, data, mode, max_rows)
    return Inputs(values, find_flags(values, mode))


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
