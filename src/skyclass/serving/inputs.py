"""The model inputs of a request, and the checks that every protocol shares.

Checks work on whole arrays; a single value is looked at only to name it in an error.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from skyclass.serving.errors import RequestError, describe
from skyclass.survey.features import INPUTS, MAGNITUDES, Mode, model_name
from skyclass.survey.observation import MAGNITUDE_RANGE, REDSHIFT_RANGE, is_sentinel

Matrix = npt.NDArray[np.float64]

MAX_INPUT = float(np.finfo(np.float32).max) / 2
"""Models work in single precision; with half of its range, colours (differences) fit as well."""

_RANGES = {**dict.fromkeys(MAGNITUDES, MAGNITUDE_RANGE), "redshift": REDSHIFT_RANGE}
_LOW = {mode: np.array([_RANGES[name][0] for name in INPUTS[mode]]) for mode in Mode}
_HIGH = {mode: np.array([_RANGES[name][1] for name in INPUTS[mode]]) for mode in Mode}
_NUMBER_TYPES = {int, float}


@dataclass(frozen=True)
class Inputs:
    """Validated model inputs.

    Attributes:
        values: Shape (n, len(INPUTS[mode])), in that order; finite.
        flags: By row, which values lie outside the survey's range; most requests have none.
        keys: Plate, MJD and fibre, shape (n, 3), zeros for rows without a key; None when no row
            has one.
    """

    values: Matrix
    flags: dict[int, list[str]] = field(default_factory=dict)
    keys: npt.NDArray[np.int32] | None = None


def check_row_count(rows: int, max_rows: int) -> None:
    """Reject a request without rows, or with too many.

    Raises:
        RequestError: 400 or 413.
    """
    if rows == 0:
        raise RequestError(400, "the request has no rows: send at least one")
    if rows > max_rows:
        raise RequestError(
            413, f"the request has {rows} rows, the limit is {max_rows}: split the request"
        )


def is_outside_range(values: Matrix, mode: Mode) -> npt.NDArray[np.bool_]:
    """Return which values lie outside the survey's range or are not finite, shape as `values`."""
    return ~((values >= _LOW[mode]) & (values <= _HIGH[mode]))  # true for NaN


def find_flags(values: Matrix, mode: Mode) -> dict[int, list[str]]:
    """Check the values of a request.

    Returns:
        By row, which values lie outside the survey's range: they are classified, but the model was
        not trained on their like.

    Raises:
        RequestError: A value is not finite, is the survey's sentinel, or exceeds single precision.
    """
    outside = is_outside_range(values, mode)
    if not outside.any():
        return {}
    unusable = is_sentinel(values) | ~(np.abs(values) <= MAX_INPUT)
    if unusable.any():
        row, column = np.argwhere(unusable)[0].tolist()
        name, value = INPUTS[mode][column], float(values[row, column])
        if is_sentinel(value):
            raise RequestError(
                422, f"row {row}: {name} was not measured ({value:g}){_suggest_model(name, mode)}"
            )
        raise RequestError(
            422, f"row {row}: {name} is {value:g}, expected a number between ±{MAX_INPUT:.2g}"
        )
    flags: dict[int, list[str]] = {}
    for row, column in np.argwhere(outside).tolist():
        name = INPUTS[mode][column]
        low, high = _RANGES[name]
        flags.setdefault(row, []).append(f"{name} outside {low:g} to {high:g}")
    return flags


def to_numbers(cells: list[Any]) -> Matrix | None:
    """Convert JSON values to numbers, or return None when one of them is not a number."""
    if not set(map(type, cells)) <= _NUMBER_TYPES:  # by type: True is an instance of int
        return None
    return np.fromiter(cells, np.float64, len(cells))


def find_non_number(cells: list[Any]) -> int:
    """Return the position of the first value that is not a number."""
    return next(at for at, cell in enumerate(cells) if type(cell) not in _NUMBER_TYPES)


def not_a_number(row: int, name: str, value: Any) -> RequestError:
    """Return the error for an input that is not a number."""
    return RequestError(422, f"row {row}: {name} is {describe(value)}, expected a number")


def missing_input(row: int, name: str, mode: Mode) -> RequestError:
    """Return the error for a row without one of the mode's inputs."""
    return RequestError(422, f"row {row}: {name} is missing{_suggest_model(name, mode)}")


def wrong_width(row: int, width: int, mode: Mode) -> RequestError:
    """Return the error for a row by position with too few or too many values."""
    names = INPUTS[mode]
    lacks_redshift = width == len(MAGNITUDES) < len(names)
    return RequestError(
        422,
        f"row {row}: {width} values, expected {len(names)} ({', '.join(names)})"
        + (_suggest_model("redshift", mode) if lacks_redshift else ""),
    )


def _suggest_model(name: str, mode: Mode) -> str:
    """Name the model that needs no redshift, where redshift is the input at fault."""
    if name == "redshift" and mode is Mode.SPECTROSCOPIC:
        return f"; {model_name(Mode.PHOTOMETRIC)} needs no redshift"
    return ""
