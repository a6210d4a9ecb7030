"""The input tensors of V2 and gRPC requests: their types, and how rows are read from them."""

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from skyclass.serving.errors import RequestError, quote
from skyclass.serving.inputs import (
    Inputs,
    Matrix,
    check_row_count,
    check_values,
    describe_inputs,
    missing_input,
    not_a_number,
    wrong_width,
)
from skyclass.survey.features import ALL_INPUTS, INPUTS, MAGNITUDES, OPTIONAL_INPUTS, Mode

DTYPES: Mapping[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "FP64": np.dtype("<f8")}
"""Datatypes of inputs, and their binary form."""

_NUMBER_TYPES = {int, float}


class TensorParameters(msgspec.Struct):
    """Parameters of an input."""

    binary_data_size: int | None = None


class Tensor(msgspec.Struct):
    """An input: its data is a JSON list, flat or nested, or `raw` bytes.

    Optional inputs are further columns of the matrix, or tensors by name; null and NaN are not
    measured.
    """

    name: str
    shape: list[Annotated[int, msgspec.Meta(ge=0)]]
    datatype: Literal["FP32", "FP64"]
    data: list[Any] | msgspec.UnsetType = msgspec.UNSET
    parameters: TensorParameters | None = None


def read_inputs(
    tensors: Sequence[Tensor],
    rest: bytes,
    mode: Mode,
    max_rows: int,
    missing_bands: Collection[str] = (),
) -> Inputs:
    """Read the rows of a V2 request.

    What was not measured is NaN, null in JSON, or the survey's sentinel.

    Args:
        tensors: One tensor of shape [n, len(INPUTS[mode])] or [n, len(ALL_INPUTS[mode])], of any
            name, with columns in that order; or one of shape [n] or [n, 1] for each of
            INPUTS[mode] and any of OPTIONAL_INPUTS[mode], by name, in any order.
        rest: The bytes that follow the JSON.
        mode: Mode of the model.
        max_rows: Limit on the number of rows.
        missing_bands: Magnitudes that the release can do without; a row may lack one of them.

    Raises:
        RequestError: The request is invalid.
    """
    data = _split_data(tensors, rest)
    optional = {*OPTIONAL_INPUTS[mode], *missing_bands}
    if len(tensors) == 1 and tensors[0].name not in INPUTS[mode]:
        values = _read_matrix(tensors[0], data[0], mode, max_rows, optional)
    else:
        values = _read_columns(tensors, data, mode, max_rows, optional)
    return Inputs(values, check_values(values, mode, missing_bands))


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


def _read_matrix(
    tensor: Tensor, data: list[Any] | bytes, mode: Mode, max_rows: int, optional: Collection[str]
) -> Matrix:
    names = INPUTS[mode]
    if len(tensor.shape) != 2:
        raise RequestError(
            422,
            f"{quote(tensor.name)} has the shape {tensor.shape}, expected 2 dimensions: rows, and "
            f"{len(names)} columns ({', '.join(names)})",
        )
    rows, width = tensor.shape
    check_row_count(rows, max_rows)
    if width == len(ALL_INPUTS[mode]):
        names = ALL_INPUTS[mode]
    elif width != len(names):
        raise wrong_width(0, width, mode)
    return _read_cells(tensor, data, names, optional).reshape(rows, width)


def _read_columns(
    tensors: Sequence[Tensor],
    data: Sequence[list[Any] | bytes],
    mode: Mode,
    max_rows: int,
    optional: Collection[str],
) -> Matrix:
    names = INPUTS[mode]
    columns = {tensor.name: (tensor, each) for tensor, each in zip(tensors, data, strict=True)}
    if mode is Mode.SPECTROSCOPIC and set(columns) == set(MAGNITUDES):
        raise missing_input(0, "redshift", mode)
    is_complete = all(name in columns or name in optional for name in names)
    if not is_complete or not columns.keys() <= {*names, *optional} or len(tensors) > len(columns):
        raise RequestError(
            400,
            f"the inputs are {quote(', '.join(tensor.name for tensor in tensors))}, expected one "
            f"matrix or one column each of {describe_inputs(mode)}",
        )
    rows = math.prod(tensors[0].shape)
    for name, (tensor, _) in columns.items():
        if tensor.shape not in ([rows], [rows, 1]):
            raise RequestError(
                400, f"{name} has the shape {tensor.shape}, expected [{rows}] or [{rows}, 1]"
            )
    check_row_count(rows, max_rows)
    if not columns.keys() <= set(names):
        names = ALL_INPUTS[mode]
    values = np.full((rows, len(names)), np.nan)
    for at, name in enumerate(names):
        if name in columns:
            values[:, at] = _read_cells(*columns[name], (name,), optional)
    return values


def _read_cells(
    tensor: Tensor, data: list[Any] | bytes, names: Sequence[str], optional: Collection[str]
) -> Matrix:
    """Return the values of a tensor in row-major order.

    Args:
        tensor: The tensor.
        data: Its data.
        names: The inputs in its columns.
        optional: Inputs that may be null in JSON; NaN in the result.
    """
    if isinstance(data, bytes):
        return _from_bytes(tensor, data)
    cells = _flatten(tensor, data)
    if not set(map(type, cells)) <= _NUMBER_TYPES:  # by type: True is an instance of int
        for at, cell in enumerate(cells):
            row, column = divmod(at, len(names))
            is_null = cell is None and names[column] in optional
            if type(cell) not in _NUMBER_TYPES and not is_null:
                raise not_a_number(row, names[column], cell)
    return np.fromiter(cells, np.float64, len(cells))


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
