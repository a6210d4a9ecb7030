"""The objects of a request as numbers that a model can be asked about, or the reason why not.

All of it works on whole columns: a cell is looked at on its own only to name it in a refusal.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from skyclass.errors import SkyclassError
from skyclass.survey.features import INPUTS, MAGNITUDES, Mode, model_name
from skyclass.survey.observation import MAGNITUDE_RANGE, NOT_MEASURED, REDSHIFT_RANGE

Numbers = npt.NDArray[np.float64]

_RANGES = {**dict.fromkeys(MAGNITUDES, MAGNITUDE_RANGE), "redshift": REDSHIFT_RANGE}
_LOW = {mode: np.array([_RANGES[name][0] for name in INPUTS[mode]]) for mode in Mode}
_HIGH = {mode: np.array([_RANGES[name][1] for name in INPUTS[mode]]) for mode in Mode}

LARGEST = float(np.finfo(np.float32).max) / 2
"""Models work in single precision; half of its largest number, so that a colour fits as well."""

LARGEST_KEY = 2**31 - 1
"""Plates, days and fibres are 32-bit numbers."""

_NUMBER_TYPES = {int, float}
_LONGEST_ECHO = 20


class Refusal(SkyclassError):
    """A request that is not answered.

    Attributes:
        status: The HTTP status that says so.
        message: What is wrong, naming row and field where there are some.
        headers: HTTP headers that belong to the status.
    """

    def __init__(
        self, status: int, message: str, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


@dataclass(frozen=True)
class Objects:
    """The objects of one request.

    Attributes:
        inputs: Shape (n, len(INPUTS[mode])), in that order; every value is finite.
        flags: What is unusual about an object, by row; most requests have none.
        keys: Plate, MJD and fibre, shape (n, 3), zeros where the caller gave none.
    """

    inputs: Numbers
    flags: dict[int, list[str]] = field(default_factory=dict)
    keys: npt.NDArray[np.int32] | None = None


def no_such_model(mode: Mode) -> Refusal:
    """Refuse an address or a name that is not ours, without repeating it."""
    return Refusal(404, f"nothing is here: the only model is {model_name(mode)}")


def check_size(rows: int, max_rows: int) -> None:
    """Refuse a request without objects, or with too many.

    Raises:
        Refusal: 400 or 413.
    """
    if rows == 0:
        raise Refusal(400, "there are no objects in the request: send at least one")
    if rows > max_rows:
        raise Refusal(413, f"{rows} rows where {max_rows} are allowed: send them in parts")


def as_numbers(cells: list[Any]) -> Numbers | None:
    """The cells as numbers, or None when one of them is not a JSON number."""
    if not set(map(type, cells)) <= _NUMBER_TYPES:  # by type: True is an int to isinstance
        return None
    return np.fromiter(cells, np.float64, len(cells))


def from_cells(cells: list[Any], mode: Mode) -> Numbers:
    """The cells of all rows, one per input of the mode and row, as a matrix.

    Raises:
        Refusal: A cell is not a number.
    """
    names = INPUTS[mode]
    numbers = as_numbers(cells)
    if numbers is None:
        wrong = next(at for at, cell in enumerate(cells) if as_numbers([cell]) is None)
        row, column = divmod(wrong, len(names))
        raise not_a_number(row, names[column], cells[wrong])
    return numbers.reshape(-1, len(names))


def find_flags(inputs: Numbers, mode: Mode) -> dict[int, list[str]]:
    """Check the values themselves.

    Returns:
        By row, which values lie outside the survey's range: the model answers, but it has never
        seen such an object.

    Raises:
        Refusal: A value is not finite, was not measured, or does not fit single precision.
    """
    outside = ~((inputs >= _LOW[mode]) & (inputs <= _HIGH[mode]))  # NaN is outside as well
    if not outside.any():
        return {}
    flags: dict[int, list[str]] = {}
    for row, column in np.argwhere(outside).tolist():
        name, value = INPUTS[mode][column], float(inputs[row, column])
        if value == NOT_MEASURED:
            raise Refusal(
                422, f"row {row}: {name} was not measured ({value:g}){_way_out(name, mode)}"
            )
        if not abs(value) <= LARGEST:
            raise Refusal(422, f"row {row}: {name} is {value:g}, which no magnitude or redshift is")
        low, high = _RANGES[name]
        flags.setdefault(row, []).append(f"{name} outside {low:g} to {high:g}")
    return flags


def not_a_number(row: int, name: str, cell: Any) -> Refusal:
    """Refuse a cell that is not a number."""
    return Refusal(422, f"row {row}: {name} is {describe(cell)}, a number is needed")


def missing(row: int, name: str, mode: Mode) -> Refusal:
    """Refuse an object that lacks an input."""
    return Refusal(422, f"row {row}: {name} is missing{_way_out(name, mode)}")


def wrong_count(row: int, count: int, mode: Mode) -> Refusal:
    """Refuse an object given by position that has too few or too many values."""
    names = INPUTS[mode]
    lacks_redshift = count == len(MAGNITUDES) < len(names)
    return Refusal(
        422,
        f"row {row}: {count} values where {len(names)} are needed ({', '.join(names)})"
        + (_way_out("redshift", mode) if lacks_redshift else ""),
    )


def echo(text: str) -> str:
    """A caller's own text, quoted and cut short."""
    return repr(text if len(text) <= _LONGEST_ECHO else f"{text[:_LONGEST_ECHO]}…")


def describe(value: Any) -> str:
    """Say what a JSON value is."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f"text ({echo(value)})"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return "a number"


def _way_out(name: str, mode: Mode) -> str:
    """Who can answer when a redshift is all that is missing."""
    if name == "redshift" and mode is Mode.SPECTROSCOPIC:
        return f": {model_name(Mode.PHOTOMETRIC)} classifies without it"
    return ""
