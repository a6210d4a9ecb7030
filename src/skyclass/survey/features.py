"""The one place where magnitudes become model features, and the two modes they come in.

Redshift almost is the label: the survey's template fit yields both at once. A model that sees it
(spectroscopic) and one that does not (photometric) solve different problems, so they never share
a number, a release or an endpoint.
"""

from enum import StrEnum

import numpy as np
import numpy.typing as npt

MAGNITUDES = ("u", "g", "r", "i", "z")
"""SDSS model magnitudes (asinh, AB-like), in order of wavelength."""


class Mode(StrEnum):
    """Which measurements a model sees."""

    SPECTROSCOPIC = "spectroscopic"
    PHOTOMETRIC = "photometric"


def model_name(mode: Mode) -> str:
    """What the model of a mode and its InferenceService are called."""
    return f"skyclass-{mode}"


INPUTS: dict[Mode, tuple[str, ...]] = {
    Mode.SPECTROSCOPIC: (*MAGNITUDES, "redshift"),
    Mode.PHOTOMETRIC: MAGNITUDES,
}
"""What a caller gives per object, in the order of positional requests."""

_COLOURS_AND_R = ("u-g", "g-r", "r-i", "i-z", "r")
FEATURES: dict[Mode, tuple[str, ...]] = {
    Mode.SPECTROSCOPIC: (*_COLOURS_AND_R, "redshift"),
    Mode.PHOTOMETRIC: _COLOURS_AND_R,
}
"""What the model sees: the four colours, the r magnitude and, where the mode has it, redshift."""


def make_features(inputs: npt.ArrayLike, mode: Mode) -> npt.NDArray[np.float32]:
    """Turn measured inputs into model features.

    Args:
        inputs: Array of shape (n, len(INPUTS[mode])): magnitudes u, g, r, i, z (mag) and, in
            spectroscopic mode, redshift (dimensionless). NaN stays NaN.
        mode: The mode whose features are wanted.

    Returns:
        Array of shape (n, len(FEATURES[mode])). Differences are taken in double precision and
        then rounded to single, so that scikit-learn and ONNX Runtime see the same numbers.

    Raises:
        ValueError: The array does not have one column per input of the mode.
    """
    values = np.asarray(inputs, dtype=np.float64)
    names = INPUTS[mode]
    if values.ndim != 2 or values.shape[1] != len(names):
        raise ValueError(f"{mode} features need the columns {names}, got shape {values.shape}")
    u, g, r, i, z = values.T[:5]
    columns = [u - g, g - r, r - i, i - z, r, *values.T[5:]]
    return np.stack(columns, axis=1).astype(np.float32)
