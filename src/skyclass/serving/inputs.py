"""The model inputs of a request, and the checks that every protocol shares.

Checks work on whole arrays; a single value is looked at only to name it in an error.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from skyclass.serving.errors import RequestError, describe
from skyclass.survey.features import (
    ALL_INPUTS,
    INPUTS,
    MAGNITUDES,
    MAX_INPUT,
    OPTIONAL_INPUTS,
    Mode,
    model_name,
)
from skyclass.survey.observation import OPTIONAL_COLUMNS, RANGES, TYPES, is_sentinel
from skyclass.survey.optional import find_placeholders

Matrix = npt.NDArray[np.float64]

MAX_KEY = 2**31 - 1
"""Largest plate, MJD or fibre of a key."""

_OPTIONAL = "alpha, delta, extinction_r, psf_u … psf_z, type, err_u … err_z, w1, w2"
"""The optional inputs of photometric mode in messages."""

_LIMITS = {
    (mode, len(names)): tuple(np.array([RANGES[name] for name in names]).T)
    for mode in Mode
    for names in (INPUTS[mode], ALL_INPUTS[mode])
}
"""Lowest and highest values by mode and number of columns."""
_TYPE = ALL_INPUTS[Mode.PHOTOMETRIC].index("type")


class Inputs(NamedTuple):
    """Validated model inputs; a tuple, because every request creates one.

    Attributes:
        values: Shape (n, len(INPUTS[mode])) or (n, len(ALL_INPUTS[mode])), in that order; NaN where
            an input was not measured.
        flags: By row, which values lie outside the survey's range or are missing; most requests
            have none.
        keys: Plate, MJD and fibre, shape (n, 3), zeros for rows without a key; None when no row
            has one.
    """

    values: Matrix
    flags: dict[int, list[str]]
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
    """Return which values are invalid.

    Args:
        values: Shape (n, len(INPUTS[mode])) or (n, len(ALL_INPUTS[mode])), in that order.
        mode: Mode of the model.

    Returns:
        Shape as `values`: required inputs that lie outside the survey's range or are not finite,
        and optional inputs that were measured and lie outside theirs.
    """
    low, high = _LIMITS[mode, values.shape[1]]
    outside = ~((values >= low) & (values <= high))  # true for NaN
    required = len(INPUTS[mode])
    if values.shape[1] > required:
        outside[:, _TYPE] |= ~np.isin(values[:, _TYPE], TYPES)
        outside[:, required:] &= ~np.isnan(values[:, required:])
    return outside


def check_values(
    values: Matrix, mode: Mode, missing_bands: Collection[str] = ()
) -> dict[int, list[str]]:
    """Check the values of a request.

    A value outside the survey's range is flagged. The model takes it if it is a required input,
    although it was not trained on its like; as an optional input it is not used.

    Args:
        values: Shape (n, len(INPUTS[mode])) or (n, len(ALL_INPUTS[mode])), in that order; changed
            to NaN where they are the survey's sentinel or not used.
        mode: Mode of the model.
        missing_bands: Magnitudes that the release can do without; a row may lack one of them.

    Returns:
        The flags of each row that has some.

    Raises:
        RequestError: A required input is not finite, is the survey's sentinel, or exceeds single
            precision.
    """
    if values.shape[1] > len(INPUTS[mode]):
        optional = values[:, -len(OPTIONAL_COLUMNS) :]
        optional[find_placeholders(optional, OPTIONAL_COLUMNS)] = np.nan
    outside = is_outside_range(values, mode)
    if not outside.any():
        return {}
    names, required = ALL_INPUTS[mode], len(INPUTS[mode])
    is_missing = is_sentinel(values) | np.isnan(values)
    unusable = (is_missing | ~(np.abs(values) <= MAX_INPUT))[:, :required]
    unusable &= ~(is_missing[:, :required] & [name in missing_bands for name in INPUTS[mode]])
    if unusable.any():
        row, column = np.argwhere(unusable)[0].tolist()
        raise _reject_value(row, names[column], float(values[row, column]), mode)
    several = np.flatnonzero(is_missing[:, :required].sum(axis=1) > 1)
    if several.size:
        row = int(several[0])
        absent = ", ".join(names[at] for at in np.flatnonzero(is_missing[row, :required]))
        raise RequestError(
            422,
            f"row {row}: {absent} were not measured: a row may lack one of "
            f"{', '.join(missing_bands)}",
        )
    flags: dict[int, list[str]] = {}
    for row, column in np.argwhere(outside).tolist():
        name = names[column]
        if not is_missing[row, column]:
            low, high = RANGES[name]
            text = f"{name} outside {low:g} to {high:g}" if name != "type" else "type not 3 or 6"
            flags.setdefault(row, []).append(text if column < required else f"{text}, not used")
        elif column < required:
            flags.setdefault(row, []).append(f"{name} not measured")
    outside[:, :required] = False
    values[is_missing | outside] = np.nan
    return flags


def _reject_value(row: int, name: str, value: float, mode: Mode) -> RequestError:
    if is_sentinel(value):
        return RequestError(
            422, f"row {row}: {name} was not measured ({value:g}){_suggest_model(name, mode)}"
        )
    return RequestError(
        422, f"row {row}: {name} is {value:g}, expected a number between ±{MAX_INPUT:.2g}"
    )


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


def describe_inputs(mode: Mode) -> str:
    """List the inputs of a mode in a message."""
    optional = f" and optionally {_OPTIONAL}" if OPTIONAL_INPUTS[mode] else ""
    return f"{', '.join(INPUTS[mode])}{optional}"


def _suggest_model(name: str, mode: Mode) -> str:
    """Name the model that needs no redshift, where redshift is the input at fault."""
    if name == "redshift" and mode is Mode.SPECTROSCOPIC:
        return f"; {model_name(Mode.PHOTOMETRIC)} needs no redshift"
    return ""
