"""Valid values of the optional inputs; an invalid one counts as not measured.

An object without a valid optional input is still an object with five magnitudes, so it is neither
rejected nor given a made-up value.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from skyclass.survey.observation import RANGES, TYPES

PLACEHOLDERS = np.array([-9999.0, 9999.0, -999.0, 999.0, -99.0, 99.0, 0.0])
"""Numbers that public catalogues hold for "not measured". For an extinction, 0 is a value."""


class Discarded(NamedTuple):
    """Values of an optional input that are not used, as masks of shape (n,).

    Attributes:
        not_measured: Placeholders for a measurement.
        invalid: Other values that the input cannot have; `describe_valid` says which it can have.
    """

    not_measured: npt.NDArray[np.bool_]
    invalid: npt.NDArray[np.bool_]


def find_placeholders(
    values: npt.NDArray[np.float64], names: Sequence[str]
) -> npt.NDArray[np.bool_]:
    """Return where optional inputs hold a placeholder for "not measured".

    Args:
        values: Shape (n, len(names)).
        names: Names of the inputs, among `OPTIONAL_COLUMNS`.

    Examples:
        >>> values = np.array([[0.0, 0.0, 99.0]])
        >>> find_placeholders(values, ["extinction_r", "err_u", "w1"]).tolist()
        [[False, True, True]]
    """
    found = (values[..., np.newaxis] == PLACEHOLDERS).any(axis=-1)
    return found & ~((values == 0) & [name == "extinction_r" for name in names])


def find_discarded(name: str, values: npt.NDArray[np.float64]) -> Discarded:
    """Find the values of an optional input that are not measurements; NaN is neither kind.

    Args:
        name: Name of the input, one of `OPTIONAL_COLUMNS`.
        values: Its values, in the unit of `RANGES`, shape (n,).

    Examples:
        >>> discarded = find_discarded("psf_r", np.array([18.2, -9999.0, 99.0, 3.1, np.nan]))
        >>> discarded.not_measured.tolist(), discarded.invalid.tolist()
        ([False, True, True, False, False], [False, False, False, True, False])
    """
    low, high = RANGES[name]
    is_placeholder = find_placeholders(values[:, np.newaxis], [name])[:, 0]
    is_valid = np.isin(values, TYPES) if name == "type" else (values >= low) & (values <= high)
    return Discarded(is_placeholder, ~(is_valid | is_placeholder | np.isnan(values)))


def describe_valid(name: str) -> str:
    """Describe the rule that an invalid value of an optional input breaks.

    Examples:
        >>> describe_valid("psf_r"), describe_valid("type")
        ('outside 5 to 35', 'neither 3 nor 6')
    """
    low, high = RANGES[name]
    return f"neither {low:g} nor {high:g}" if name == "type" else f"outside {low:g} to {high:g}"
