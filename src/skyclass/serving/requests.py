"""Reads V1 requests: JSON with a list of objects, each by name or by position."""

from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from skyclass.serving.objects import (
    LARGEST_KEY,
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
from skyclass.survey.features import INPUTS, Mode, model_name
from skyclass.survey.observation import KEY

_pick_key = itemgetter(*KEY)
_pick_inputs = {mode: itemgetter(*names) for mode, names in INPUTS.items()}


def read_v1(payload: dict[str, Any], mode: Mode, max_rows: int) -> Objects:
    """Read the objects of a V1 request.

    Args:
        payload: `{"instances": [...]}` with rows that are all lists in the order of INPUTS[mode],
            or all objects with those names and, if the caller likes, the three parts of the key.
        mode: The mode of the model that is asked.
        max_rows: The most rows that are allowed.

    Raises:
        Refusal: The request cannot be answered.
    """
    rows = payload.get("instances")
    if not isinstance(rows, list):
        found = "missing" if rows is None else describe(rows)
        raise Refusal(400, f"instances is {found}, a list of objects is needed")
    check_size(len(rows), max_rows)
    kinds = set(map(type, rows))
    keys = None
    if kinds == {dict}:
        inputs, keys = _read_records(rows, mode)
    elif kinds == {list}:
        inputs = _read_lists(rows, mode)
    else:
        raise _wrong_kind(rows, mode)
    return Objects(inputs, find_flags(inputs, mode), keys)


def _read_lists(rows: list[list[Any]], mode: Mode) -> Numbers:
    width = len(INPUTS[mode])
    if set(map(len, rows)) != {width}:
        row = next(at for at, cells in enumerate(rows) if len(cells) != width)
        raise wrong_count(row, len(rows[row]), mode)
    return from_cells(list(chain.from_iterable(rows)), mode)


def _read_records(
    rows: list[dict[str, Any]], mode: Mode
) -> tuple[Numbers, npt.NDArray[np.int32] | None]:
    width = len(INPUTS[mode])
    keyed = [at for at, record in enumerate(rows) if len(record) != width]
    try:
        cells = list(chain.from_iterable(map(_pick_inputs[mode], rows)))
        key_cells = [cell for at in keyed for cell in _pick_key(rows[at])]
    except KeyError:
        raise _misnamed(rows, mode) from None
    if any(len(rows[at]) != width + len(KEY) for at in keyed):
        raise _misnamed(rows, mode)
    inputs = from_cells(cells, mode)
    if not keyed:
        return inputs, None
    keys = np.zeros((len(rows), len(KEY)), np.int32)
    keys[keyed] = _read_keys(key_cells, keyed)
    return inputs, keys


def _read_keys(cells: list[Any], rows: list[int]) -> npt.NDArray[np.int32]:
    numbers = as_numbers(cells)
    if numbers is None:
        wrong = next(at for at, cell in enumerate(cells) if as_numbers([cell]) is None)
        row, column = divmod(wrong, len(KEY))
        raise not_a_number(rows[row], KEY[column], cells[wrong])
    unfit = ~((numbers >= 1) & (numbers <= LARGEST_KEY) & (numbers % 1 == 0))
    if unfit.any():
        row, column = divmod(int(unfit.argmax()), len(KEY))
        raise Refusal(422, f"row {rows[row]}: {KEY[column]} is not a positive 32-bit number")
    return numbers.astype(np.int32).reshape(-1, len(KEY))


def _misnamed(rows: list[dict[str, Any]], mode: Mode) -> Refusal:
    """Name the first field that is missing or does not belong."""
    names = INPUTS[mode]
    for row, record in enumerate(rows):
        for name in names:
            if name not in record:
                return missing(row, name, mode)
        for name in record:
            if name not in (*names, *KEY):
                return Refusal(
                    422,
                    f"row {row}: {echo(name)} is no input of {model_name(mode)} "
                    f"({', '.join(names)})",
                )
        for name in KEY:
            if name not in record and not record.keys().isdisjoint(KEY):
                return Refusal(
                    422, f"row {row}: {name} is missing: a key is {', '.join(KEY)}, or none of them"
                )
    raise AssertionError("every row has the right names")


def _wrong_kind(rows: list[Any], mode: Mode) -> Refusal:
    """Name the first row that is neither list nor object, or not what the first one is."""
    names = INPUTS[mode]
    for row, each in enumerate(rows):
        if type(each) not in (list, dict):
            return Refusal(
                422,
                f"row {row} is {describe(each)}, an object or a list of {len(names)} numbers is "
                f"needed ({', '.join(names)})",
            )
    row = next(at for at, each in enumerate(rows) if type(each) is not type(rows[0]))
    return Refusal(
        422, f"row {row} is {describe(rows[row])} where row 0 is {describe(rows[0])}: use one form"
    )
