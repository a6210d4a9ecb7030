"""Model features, computed from magnitudes, and the two modes of a model.

The redshift almost determines the class: the survey's template fit yields both at once. A model
with it (spectroscopic) and one without it (photometric) therefore solve different problems, and
never share a metric, a release or an endpoint.
"""

from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MAGNITUDES = ("u", "g", "r", "i", "z")
"""SDSS model magnitudes (asinh, AB-like), in order of wavelength."""

MAX_INPUT = float(np.finfo(np.float32).max) / 2
"""Models work in single precision; with half of its range, colours (differences) fit as well."""


class Mode(StrEnum):
    """Kind of model, by its inputs."""

    SPECTROSCOPIC = "spectroscopic"
    PHOTOMETRIC = "photometric"


def model_name(mode: Mode) -> str:
    """Return the name of a mode's model, which is also the name of its InferenceService."""
    return f"skyclass-{mode}"


INPUTS: dict[Mode, tuple[str, ...]] = {
    Mode.SPECTROSCOPIC: (*MAGNITUDES, "redshift"),
    Mode.PHOTOMETRIC: MAGNITUDES,
}
"""Required inputs of each mode, in the order of positional requests."""


class InputGroup(StrEnum):
    """Optional inputs that are measured together; each may be absent from a row."""

    EXTINCTION = "extinction"
    PSF = "psf"
    TYPE = "type"
    ERRORS = "errors"
    WISE = "wise"


GROUP_INPUTS: dict[InputGroup, tuple[str, ...]] = {
    InputGroup.EXTINCTION: ("alpha", "delta", "extinction_r"),
    InputGroup.PSF: tuple(f"psf_{band}" for band in MAGNITUDES),
    InputGroup.TYPE: ("type",),
    InputGroup.ERRORS: tuple(f"err_{band}" for band in MAGNITUDES),
    InputGroup.WISE: ("w1", "w2"),
}
"""Inputs of each group.

`extinction_r` is the Galactic extinction in r (mag), 0 for dereddened magnitudes; where it is
absent, it is read from a dust map at the position `alpha`, `delta` (degrees, ICRS). `psf_*` are PSF
magnitudes and `err_*` the errors of the model magnitudes (mag). `type` is the survey's photometric
type: 3 for extended, 6 for point-like. `w1` and `w2` are WISE magnitudes (mag, Vega).
"""

OPTIONAL_INPUTS: dict[Mode, tuple[str, ...]] = {
    Mode.SPECTROSCOPIC: (),
    Mode.PHOTOMETRIC: tuple(name for names in GROUP_INPUTS.values() for name in names),
}
"""Inputs of each mode that a row may lack."""

ALL_INPUTS = {mode: (*INPUTS[mode], *OPTIONAL_INPUTS[mode]) for mode in Mode}
"""All inputs of each mode, in the order of the columns of input arrays."""

_COLOURS_AND_R = ("u-g", "g-r", "r-i", "i-z", "r")
FEATURES: dict[Mode, tuple[str, ...]] = {
    Mode.SPECTROSCOPIC: (*_COLOURS_AND_R, "redshift"),
    Mode.PHOTOMETRIC: _COLOURS_AND_R,
}
"""Features that every release of a mode has: four colours, the r magnitude and, in spectroscopic
mode, the redshift."""

GROUP_FEATURES: dict[InputGroup, tuple[str, ...]] = {
    InputGroup.EXTINCTION: ("extinction_r",),
    InputGroup.PSF: tuple(f"psf_{band}-{band}" for band in MAGNITUDES),
    InputGroup.TYPE: ("type",),
    InputGroup.ERRORS: GROUP_INPUTS[InputGroup.ERRORS],
    InputGroup.WISE: ("r-w1", "w1-w2"),
}
"""Features of each group. A release has those of the groups that its training rows have."""


def make_features(
    inputs: npt.ArrayLike, mode: Mode, names: tuple[str, ...] | None = None
) -> npt.NDArray[np.float32]:
    """Compute model features from inputs.

    The name of a feature is its definition: an input, or the difference of two inputs. The error of
    a band that was not measured is NaN: models never see one, because both are masked together.

    Args:
        inputs: Array of shape (n, len(INPUTS[mode])) or (n, len(ALL_INPUTS[mode])), in that order:
            magnitudes (mag), redshift (dimensionless) and the units of `GROUP_INPUTS`. NaN stays
            NaN; optional inputs that are left out are NaN.
        mode: Mode of the model.
        names: Features in the order of the result; None for FEATURES[mode].

    Returns:
        Array of shape (n, len(names)). Differences are computed in double precision and then
        rounded to single, so that scikit-learn and ONNX Runtime get the same numbers.

    Raises:
        ValueError: The array has another number of columns.

    Examples:
        >>> inputs = [[20.0, 19.5, 19.25, 19.125, 19.0625, 2.0]]
        >>> make_features(inputs, Mode.SPECTROSCOPIC).tolist()
        [[0.5, 0.25, 0.125, 0.0625, 19.25, 2.0]]
    """
    values = np.asarray(inputs, dtype=np.float64)
    required, everything = len(INPUTS[mode]), len(ALL_INPUTS[mode])
    if values.ndim != 2 or values.shape[1] not in (required, everything):
        raise ValueError(
            f"{mode} features need the columns {INPUTS[mode]}, and optionally "
            f"{OPTIONAL_INPUTS[mode]} behind them, got shape {values.shape}"
        )
    places = _find_places(mode, FEATURES[mode] if names is None else names)
    if values.shape[1] <= places.last:
        absent = np.full((len(values), everything - required), np.nan)
        values = np.concatenate([values, absent], axis=1)
    subtrahends = values.take(places.subtrahends, axis=1)
    subtrahends *= places.is_difference
    return (values.take(places.minuends, axis=1) - subtrahends).astype(np.float32)


class _Places(NamedTuple):
    """Columns of `ALL_INPUTS` that features are computed from, as arrays of shape (features,).

    The subtrahend of a feature that is not a difference is its minuend, or the band that it is the
    error of, times zero: one row is computed in a few operations on whole arrays.
    """

    minuends: npt.NDArray[np.intp]
    subtrahends: npt.NDArray[np.intp]
    is_difference: npt.NDArray[np.float64]
    last: int


@cache
def _find_places(mode: Mode, names: tuple[str, ...]) -> _Places:
    places = {name: place for place, name in enumerate(ALL_INPUTS[mode])}
    terms = [name.split("-") for name in names]
    minuends = np.array([places[parts[0]] for parts in terms])
    subtrahends = np.array([places[parts[-1].removeprefix("err_")] for parts in terms])
    is_difference = np.array([float(len(parts) == 2) for parts in terms])
    return _Places(
        minuends, subtrahends, is_difference, int(max(minuends.max(), subtrahends.max()))
    )


def find_groups(
    features: npt.NDArray[np.float32], names: Sequence[str]
) -> dict[InputGroup, npt.NDArray[np.bool_]]:
    """Return the rows that have at least one feature of a group.

    Args:
        features: Result of `make_features`, shape (n, len(names)).
        names: Its features.

    Returns:
        A mask of shape (n,) for each group that has features among the names.
    """
    present = ~np.isnan(features)
    found = {}
    for group, members in GROUP_FEATURES.items():
        places = [place for place, name in enumerate(names) if name in members]
        if places:
            found[group] = np.logical_or.reduce(present[:, places], axis=1)
    return found


def find_group_inputs(names: Sequence[str]) -> list[str]:
    """Return the inputs of the groups that have features among the names.

    Examples:
        >>> find_group_inputs(["u-g", "r", "r-w1", "w1-w2"])
        ['w1', 'w2']
    """
    return [
        name
        for group, inputs in GROUP_INPUTS.items()
        if set(GROUP_FEATURES[group]) & set(names)
        for name in inputs
    ]
