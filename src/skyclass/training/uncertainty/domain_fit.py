"""The fit of the domain of a release to its training rows."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from sklearn.mixture import GaussianMixture

from skyclass.registry.domain import BRIGHTNESS, DensityLimits, DomainModel, Mixture
from skyclass.survey.features import GROUP_FEATURES, MAGNITUDES
from skyclass.training.uncertainty.calibration_rows import mask_band

logger = logging.getLogger(__name__)

FALSE_ALARMS = 0.006
"""Share of rows that the limits of the mixture leave outside."""

_LIMIT_SHARE = 0.4
"""Share of the training rows that the limits are found on. The mixture is not fitted on them: it
would describe them too well, and limits found on all rows detect half as much."""

RANGE_FALSE_ALARMS = 0.001
"""Share of the training rows whose optional features are left out of the ranges as extremes."""

MAX_FALSE_ALARMS = 0.01
"""Highest share of the hold-out that may be outside."""

MAX_COMPONENTS = 32
_ROWS_PER_COMPONENT = 300
_MAX_ROWS = 20_000
_MAX_BINS = 6
_ROWS_PER_BIN = 600
"""At least three rows of a bin are below its limit."""
_RANGE_MARGIN = 0.1
"""Ranges are wider than those of the training rows by this share on each side."""
_MIN_VARIANCE = 1e-4
"""Added to each variance, in units of the variance of the feature."""

Features = npt.NDArray[np.floating]


def fit_domain(
    features: Features, held_out: Features, names: Sequence[str], seed: int
) -> DomainModel | None:
    """Fit the domain to training rows, and check it on the hold-out.

    Args:
        features: Features of the training rows, shape (n, len(names)).
        held_out: Features of the hold-out.
        names: Features of the release.
        seed: Selects the rows if there are many, and the start of the fit.

    Returns:
        None if significantly more than `MAX_FALSE_ALARMS` of the hold-out are outside: flags that
        are often wrong would be ignored.
    """
    domain = _fit(np.asarray(features, dtype=np.float64), tuple(names), seed)
    outside = int(domain.find_outside(held_out, names).sum())
    test = binomtest(outside, len(held_out), MAX_FALSE_ALARMS, alternative="greater")
    if test.pvalue < FALSE_ALARMS:
        logger.warning(
            "the release gets no domain model: %d of %d hold-out rows are outside of it, at most "
            "%.0f %% are allowed",
            outside,
            len(held_out),
            100 * MAX_FALSE_ALARMS,
        )
        return None
    return domain


def _fit(features: npt.NDArray[np.float64], names: tuple[str, ...], seed: int) -> DomainModel:
    optional = {name for members in GROUP_FEATURES.values() for name in members}
    core = tuple(name for name in names if name not in optional)
    values = features[:, [names.index(name) for name in core]]
    values = values[np.isfinite(values).all(axis=1)]
    if len(values) > _MAX_ROWS:
        chosen = np.random.default_rng(seed).choice(len(values), _MAX_ROWS, replace=False)
        values = values[np.sort(chosen)]
    for_limits = np.random.default_rng(seed).random(len(values)) < _LIMIT_SHARE
    fitted = values[~for_limits]
    centre, scale = fitted.mean(axis=0), fitted.std(axis=0) + np.finfo(np.float32).eps
    mixture = GaussianMixture(
        min(MAX_COMPONENTS, max(1, len(fitted) // _ROWS_PER_COMPONENT)),
        reg_covar=_MIN_VARIANCE,
        random_state=seed,
    ).fit((fitted - centre) / scale)
    draft = DomainModel(
        names=core,
        weights=tuple(_round(mixture.weights_)),
        means=tuple(tuple(row) for row in _round(mixture.means_ * scale + centre)),
        covariances=tuple(
            tuple(tuple(row) for row in matrix)
            for matrix in _round(mixture.covariances_ * np.outer(scale, scale))
        ),
        limits={},
        ranges=_find_ranges(features, names, optional),
    )
    return draft.model_copy(update={"limits": _find_limits(draft, values[for_limits])})


def _find_limits(draft: DomainModel, values: npt.NDArray[np.float64]) -> dict[str, DensityLimits]:
    """Find the limits for rows with all features, and for rows that lack a band."""
    limits = {}
    for band in ("", *MAGNITUDES):
        masked = mask_band(values.astype(np.float32), draft.names, band)
        present = ~np.isnan(masked[0])
        names = tuple(np.array(draft.names)[present].tolist())
        density = Mixture(draft, names).compute_density(values[:, present])
        if BRIGHTNESS not in names:
            limits[" ".join(names)] = DensityLimits(
                limits=(float(np.quantile(density, FALSE_ALARMS)),)
            )
            continue
        brightness = values[:, draft.names.index(BRIGHTNESS)]
        bins = min(_MAX_BINS, max(1, len(values) // _ROWS_PER_BIN))
        edges = np.quantile(brightness, np.arange(1, bins) / bins)
        members = np.searchsorted(edges, brightness, side="right")
        limits[" ".join(names)] = DensityLimits(
            edges=tuple(edges.tolist()),
            limits=tuple(
                float(np.quantile(density[members == number], FALSE_ALARMS))
                for number in range(bins)
            ),
        )
    return limits


def _find_ranges(
    features: npt.NDArray[np.float64], names: tuple[str, ...], optional: set[str]
) -> dict[str, tuple[float, float]]:
    """Find the range of each optional feature, without its most extreme values."""
    ranged = [name for name in names if name in optional]
    share = RANGE_FALSE_ALARMS / (2 * max(1, len(ranged)))
    ranges = {}
    for name in ranged:
        values = np.sort(features[:, names.index(name)])
        values = values[~np.isnan(values)]
        if len(values):
            extremes = int(share * len(values))
            low, high = float(values[extremes]), float(values[len(values) - 1 - extremes])
            margin = _RANGE_MARGIN * (high - low)
            ranges[name] = (low - margin, high + margin)
    return ranges


def _round(values: npt.NDArray[np.float64]) -> Any:
    """Round to seven significant digits, for a smaller file."""
    return np.vectorize(lambda value: float(f"{value:.7g}"))(values).tolist()
