"""Model features, computed from magnitudes, and the two modes of a model.

The redshift almost determines the class: the survey's template fit yields both at once. A model
with it (spectroscopic) and one without it (photometric) therefore solve different problems, and
never share a metric, a release or an endpoint.
"""

from enum import StrEnum

import numpy as np
import numpy.typing as npt

MAGNITUDES = ("u", "g", "r", "i", "z")
"""SDSS model magnitudes (asinh, AB-like), in order of wavelength."""


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
"""Inputs of each mode, in the order of positional requests."""

_COLOURS_AND_R = ("u-g", "g-r", "r-i", "i-z", "r")
FEATURES: dict[Mode, tuple[str, ...]] = {
    Mode.SPECTROSCOPIC: (*_COLOURS_AND_R, "redshift"),
    Mode.PHOTOMETRIC: _COLOURS_AND_R,
}
"""Features of each mode: four colours, the r magnitude and, in spectroscopic mode, the redshift."""


def make_features(inputs: npt.ArrayLike, mode: Mode) -> npt.NDArray[np.float32]:
    """Compute model features from inputs.

    Args:
        inputs: Array of shape (n, len(INPUTS[mode])): magnitudes u, g, r, i, z (mag) and, in
            spectroscopic mode, redshift (dimensionless). NaN stays NaN.
        mode: Mode of the model.

    Returns:
        Array of shape (n, len(FEATURES[mode])). Differences are computed in double precision and
        then rounded to single, so that scikit-learn and ONNX Runtime get the same numbers.

    Raises:
        ValueError: The array does not have one column per input of the mode.

    Examples:
        >>> inputs = [[20.0, 19.5, 19.25, 19.125, 19.0625, 2.0]]
        >>> make_features(inputs, Mode.SPECTROSCOPIC).tolist()
        [[0.5, 0.25, 0.125, 0.0625, 19.25, 2.0]]
    """
    values = np.asarray(inputs, dtype=np.float64)
    names = INPUTS[mode]
    if values.ndim != 2 or values.shape[1] != len(names):
        raise ValueError(f"{mode} features need the columns {names}, got shape {values.shape}")
    u, g, r, i, z = values.T[:5]
    columns = [u - g, g - r, r - i, i - z, r, *values.T[5:]]
    return np.stack(columns, axis=1).astype(np.float32)
