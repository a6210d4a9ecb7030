"""Optional inputs of simulated observations.

They depend on the class as in real surveys: galaxies are extended, quasars are red in WISE, and the
errors grow towards faint magnitudes. The constants follow SDSS and VST ATLAS rows with WISE
photometry. Two facts of real data are not modelled: the extinction does not redden the magnitudes,
and groups are missing at random or for faintness only.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from skyclass.sources.dust_map import read_dust_map
from skyclass.survey.features import GROUP_INPUTS, InputGroup
from skyclass.survey.observation import CLASSES, TYPES

Numbers = npt.NDArray[np.float64]

_DEPTHS = np.array([22.15, 23.13, 22.70, 22.20, 20.71])
"""Magnitudes (u, g, r, i, z) at which the error of a point source is 0.2 mag."""
_WISE_DEPTHS = np.array([17.1, 16.0])
"""The same for W1 and W2 (mag, Vega)."""
_MIN_ERROR, _MAX_ERROR = 0.005, 10.0
"""mag."""
_MAX_WISE_ERROR = 0.36
"""mag; about 3 sigma. Fainter objects have no WISE magnitude."""
_EXTENDED_FROM = 0.145
"""mag; SDSS calls an object extended if its PSF magnitude exceeds the model magnitude by more."""


class Observed(NamedTuple):
    """What the optional inputs depend on.

    Attributes:
        classes: Class of each object, shape (n,).
        magnitudes: u, g, r, i and z (mag), shape (n, 5).
        redshift: Shape (n,).
        alpha: Right ascension (degrees), shape (n,).
        delta: Declination (degrees), shape (n,).
    """

    classes: npt.NDArray[np.str_]
    magnitudes: Numbers
    redshift: Numbers
    alpha: Numbers
    delta: Numbers


def draw_groups(
    groups: Collection[InputGroup], observed: Observed, seed: tuple[int, ...]
) -> dict[str, Numbers]:
    """Draw optional inputs.

    Args:
        groups: The groups to draw. The values of a group do not depend on the others.
        observed: The objects.
        seed: Seed of the random streams, one for each group.

    Returns:
        The inputs of the groups, `alpha` and `delta` excepted, shape (n,); NaN is not measured.
    """
    errors = _draw_errors(observed, np.random.default_rng([*seed, 0]))
    psf = _draw_psf(observed, errors, np.random.default_rng([*seed, 1]))
    columns: dict[str, Numbers] = {}
    if InputGroup.EXTINCTION in groups:
        columns["extinction_r"] = read_dust_map().find_extinction(observed.alpha, observed.delta)
    if InputGroup.PSF in groups:
        columns |= zip(GROUP_INPUTS[InputGroup.PSF], psf.T, strict=True)
    if InputGroup.TYPE in groups:
        is_extended = psf[:, 2] - observed.magnitudes[:, 2] > _EXTENDED_FROM
        columns["type"] = np.where(is_extended, *TYPES)
    if InputGroup.ERRORS in groups:
        columns |= zip(GROUP_INPUTS[InputGroup.ERRORS], errors.T, strict=True)
    if InputGroup.WISE in groups:
        wise = _draw_wise(observed, np.random.default_rng([*seed, 2]))
        columns |= zip(GROUP_INPUTS[InputGroup.WISE], wise.T, strict=True)
    return {name: values.round(5) for name, values in columns.items()}


def _draw_errors(observed: Observed, rng: np.random.Generator) -> Numbers:
    errors = np.hypot(_MIN_ERROR, _point_source_error(observed.magnitudes, _DEPTHS))
    errors[observed.classes == "GALAXY"] *= 1.2  # their light is spread over more sky
    return (errors * np.exp(0.25 * rng.standard_normal(errors.shape))).clip(_MIN_ERROR, _MAX_ERROR)


def _draw_psf(observed: Observed, errors: Numbers, rng: np.random.Generator) -> Numbers:
    """Draw PSF magnitudes; they exceed model magnitudes by the light outside the PSF."""
    size = len(observed.classes)
    r = observed.magnitudes[:, 2]
    excess = {
        "GALAXY": 1.6 * 10 ** (-0.13 * (r - 17)) * np.exp(0.35 * rng.standard_normal(size)),
        # The host galaxies of nearby quasars are seen.
        "QSO": rng.normal(0.012, 0.02, size)
        + np.where(observed.redshift < 0.6, rng.exponential(0.5, size), 0),
        # Some stars are blended with others.
        "STAR": rng.normal(0.005, 0.02, size)
        + np.where(rng.random(size) < 0.08, rng.exponential(0.15, size), 0),
    }
    shared = np.select([observed.classes == name for name in CLASSES], list(excess.values()))
    noise = 0.5 * errors * rng.standard_normal(errors.shape)
    return (observed.magnitudes + shared[:, np.newaxis] + noise).clip(5, 35)


_R_W1 = {"GALAXY": (2.01, 0.94, 0.27), "QSO": (3.56, 0.37, 0.53), "STAR": (0.84, 1.27, 0.16)}
"""r - W1 (mag, W1 in Vega): value at g - i = 0, slope with g - i, scatter."""
_W1_W2 = {"GALAXY": (0.29, 0.15), "QSO": (1.18, 0.20), "STAR": (0.06, 0.06)}
"""W1 - W2 (mag, Vega): mean and scatter."""


def _draw_wise(observed: Observed, rng: np.random.Generator) -> Numbers:
    size = len(observed.classes)
    index = np.searchsorted(CLASSES, observed.classes)
    base, slope, scatter = np.array([_R_W1[name] for name in CLASSES])[index].T
    mean, spread = np.array([_W1_W2[name] for name in CLASSES])[index].T
    _, g, r, i, _ = observed.magnitudes.T
    w1 = r - base - slope * (g - i).clip(-1, 4) - scatter * rng.standard_normal(size)
    w2 = w1 - mean - spread * rng.standard_normal(size)
    true = np.column_stack([w1, w2])
    errors = np.hypot(0.03, _point_source_error(true, _WISE_DEPTHS))
    measured = true + errors * rng.standard_normal(true.shape)
    return np.where(errors < _MAX_WISE_ERROR, measured, np.nan)


def _point_source_error(magnitudes: Numbers, depths: Numbers) -> Numbers:
    """Return the error (mag) where the noise of the sky dominates."""
    return 0.2 * 10 ** (0.4 * (magnitudes - depths))
