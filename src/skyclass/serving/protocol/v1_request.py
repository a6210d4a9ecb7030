"""Requests of KServe V1: JSON with a list of rows, all by name or all by position."""

from collections.abc import Collection, Sequence
from functools import cache
from itertools import chain
from typing import Annotated, Any, cast

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import astuple

from skyclass.serving.errors import RequestError, describe
from skyclass.serving.inputs import MAX_KEY, Inputs, Matrix, check_row_count, check_values
from skyclass.serving.options import EXPECTED_SHARE, Options, Share
from skyclass.serving.protocol.strict_json import StructureError, convert, parse_json
from skyclass.serving.protocol.v1_errors import explain
from skyclass.survey.features import ALL_INPUTS, INPUTS, OPTIONAL_INPUTS, Mode
from skyclass.survey.observation import KEY

_Key = Annotated[float, msgspec.Meta(ge=1, le=MAX_KEY, multiple_of=1)]
_ABSENT = float("inf")  # JSON cannot express it
_LEVELS = 3
"""Levels of nesting of a valid request."""


@cache
def _define_request(mode: Mode, optional: frozenset[str]) -> type[msgspec.Struct]:
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
    by_name: Any = msgspec.defstruct(
        "Row", inputs + key, forbid_unknown_fields=True, kw_only=True, gc=False
    )
    by_position: Any = tuple[tuple(kind for _, kind, *_ in inputs[: len(INPUTS[mode])])]  # type: ignore[misc]
    rows: Any = list[by_name | by_position]
    return msgspec.defstruct("Request", [("instances", rows)])


@cache
def _make_decoder(mode: Mode, optional: frozenset[str]) -> msgspec.json.Decoder[Any]:
    """Return a decoder of requests that have options, and no other members."""
    options: list[Any] = [(name, Share | None, None) for name in ("coverage", "purity")]
    request = msgspec.defstruct(
        "TypedRequest",
        options,
        bases=(_define_request(mode, optional),),
        forbid_unknown_fields=True,
    )
    return msgspec.json.Decoder(request)


def parse_request(
    body: bytes, mode: Mode, max_rows: int, max_nesting: int, missing_bands: Collection[str] = ()
) -> tuple[Inputs, Options]:
    """Parse a V1 request: its rows and its options.

    Args:
        body: `{"instances": [...]}` with rows that are all lists in the order of INPUTS[mode],
            or all objects with those names and, optionally, names of OPTIONAL_INPUTS[mode] and the
            three parts of the key. An optional input that was not measured is null or absent.
        mode: Mode of the model.
        max_rows: Limit on the number of rows.
        max_nesting: Limit on the levels of lists and objects.
        missing_bands: Magnitudes that the release can do without; a row may lack one of them.

    Raises:
        RequestError: The request is invalid.
    """
    found = _decode(body, mode, missing_bands) if max_nesting >= _LEVELS else None
    table, options = found or _parse(body, mode, max_nesting, missing_bands)
    check_row_count(len(table), max_rows)
    keys = None
    if table.shape[1] > len(INPUTS[mode]):  # rows by name
        table[np.isinf(table)] = np.nan
        table, keys = table[:, : -len(KEY)], _check_keys(table[:, -len(KEY) :])
    return Inputs(table, check_values(table, mode, missing_bands), keys), options


def _decode(
    body: bytes, mode: Mode, missing_bands: Collection[str]
) -> tuple[Matrix, Options] | None:
    """Parse most valid requests in one pass; return None for all others.

    The typed decoder accepts duplicate keys, so that the colons are counted: every member of an
    object has one.
    """
    for optional in _list_optional(mode, missing_bands):
        try:
            request = _make_decoder(mode, optional).decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        if len(set(map(type, request.instances))) != 1:
            return None
        table = _tabulate(request.instances)
        options = request.coverage, request.purity
        members = 1 + sum(option is not None for option in options)
        if table.shape[1] > len(INPUTS[mode]):
            members += int(np.count_nonzero(table != _ABSENT))
        return (table, Options(*options)) if members == body.count(b":") else None
    return None


def _parse(
    body: bytes, mode: Mode, max_nesting: int, missing_bands: Collection[str]
) -> tuple[Matrix, Options]:
    """Parse any request, or explain what is wrong with it."""
    payload = parse_json(body, max_nesting)
    options = _read_options(payload)
    rows = _read_rows(payload, mode, missing_bands)
    if not rows:
        return np.empty((0, len(INPUTS[mode]))), options
    given = payload["instances"]
    for number, row in enumerate(rows):
        if type(row) is not type(rows[0]):
            raise RequestError(
                422,
                f"row {number} is {describe(given[number])}, row 0 is {describe(given[0])}: "
                "use one form for all rows",
            )
    return _tabulate(rows), options


def _read_options(payload: dict[str, Any]) -> Options:
    try:
        return convert(payload, Options)
    except StructureError as error:
        raise RequestError(
            400, f"{error.path[0]} is {describe(error.value)}, expected {EXPECTED_SHARE}"
        ) from None


def _read_rows(payload: dict[str, Any], mode: Mode, missing_bands: Collection[str]) -> list[Any]:
    choices = _list_optional(mode, missing_bands)
    for optional in choices:
        try:
            request: Any = convert(payload, _define_request(mode, optional))
        except StructureError as error:
            if optional is choices[-1]:
                raise explain(error, mode, optional) from None
        else:
            return cast(list[Any], request.instances)
    raise AssertionError(choices)


def _list_optional(mode: Mode, missing_bands: Collection[str]) -> list[frozenset[str]]:
    """Return what rows may lack: nothing, which takes the least time, and then all they may."""
    everything = frozenset((*OPTIONAL_INPUTS[mode], *missing_bands))
    return [frozenset(), everything] if everything else [everything]


def _tabulate(rows: Sequence[Any]) -> Matrix:
    """Return rows of one form as an array: the inputs and, for rows by name, the key."""
    is_by_position = type(rows[0]) is tuple
    width = len(rows[0] if is_by_position else rows[0].__struct_fields__)
    cells = rows if is_by_position else map(astuple, rows)
    flat = np.fromiter(chain.from_iterable(cells), np.float64, len(rows) * width)
    return flat.reshape(-1, width)


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
