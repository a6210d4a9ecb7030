"""The domain of a model: which rows are unlike those that it was trained on.

Nothing is known about the accuracy of predictions for such rows. They have another magnitude
system or unit, swapped columns, or are rare objects. The features that every row has are compared
with a mixture of Gaussians, those of the optional groups with ranges.
"""

from collections.abc import Sequence
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt

from skyclass.registry.documents import Document, StoredDocument
from skyclass.storage.formats import Format

Array = npt.NDArray[np.float64]

BRIGHTNESS = "r"
"""Feature that selects the limit of the density: faint objects have wider distributions."""


_BLOCK_ROWS = 256
"""Rows that are compared at once: their densities fit into the cache of a core."""


class DensityLimits(Document):
    """The lowest log-density of rows in the domain.

    Attributes:
        edges: Borders of the bins of brightness (mag, r band), ascending; empty for a single bin.
        limits: Lowest log-density in each bin, up to a constant.
    """

    edges: tuple[float, ...] = ()
    limits: tuple[float, ...]


class DomainModel(StoredDocument):
    """The domain of a release: the file `DOMAIN`.

    Attributes:
        names: Features of the mixture, which every row has unless a band is missing.
        weights: Weight of each component, shape (k,).
        means: Mean of each component, shape (k, d).
        covariances: Covariance of each component, shape (k, d, d).
        limits: Limits for rows that have these features of the mixture, joined by a space. A row
            with other missing features is not compared.
        ranges: Lowest and highest value of each feature of an optional group.
    """

    stored_format = Format("domain", "0.2.0")

    names: tuple[str, ...]
    weights: tuple[float, ...]
    means: tuple[tuple[float, ...], ...]
    covariances: tuple[tuple[tuple[float, ...], ...], ...]
    limits: dict[str, DensityLimits]
    ranges: dict[str, tuple[float, float]]

    def find_outside(
        self, features: npt.NDArray[np.floating], names: Sequence[str]
    ) -> npt.NDArray[np.bool_]:
        """Return the rows that are outside the domain.

        Args:
            features: Result of `make_features`, shape (n, len(names)); NaN is not measured.
            names: Their names, those of the manifest.

        Returns:
            Shape (n,).
        """
        order = tuple(names)
        core = features.take(_find_places(order, self.names), axis=1).astype(np.float64)
        present = core == core  # false for NaN; faster than isnan for one row
        if present.all():
            outside = self._regions[self.names].find_outside(core)
        else:
            outside = np.zeros(len(core), dtype=bool)
            for pattern in np.unique(present, axis=0):
                region = self._regions.get(tuple(np.array(self.names)[pattern].tolist()))
                if region is not None:
                    rows = (present == pattern).all(axis=1)
                    outside[rows] = region.find_outside(core[np.ix_(rows, pattern)])
        if self.ranges:
            low, high = self._bounds
            values = features.take(_find_places(order, tuple(self.ranges)), axis=1)
            outside |= ((values < low) | (values > high)).any(axis=1)
        return outside

    @cached_property
    def _regions(self) -> dict[tuple[str, ...], "_Region"]:
        """The region inside the limits, for each combination of features that has limits."""
        return {tuple(text.split()): _Region(self, text.split()) for text in self.limits}

    @cached_property
    def _bounds(self) -> Array:
        """Lowest and highest values of the features in `ranges`, shape (2, len(ranges))."""
        return np.array(list(self.ranges.values())).T


class Mixture:
    """The distribution of some features of a domain model, prepared for fast evaluation."""

    def __init__(self, model: DomainModel, names: Sequence[str]) -> None:
        places = [model.names.index(name) for name in names]
        means = np.array(model.means)[:, places]
        covariances = np.array(model.covariances)[:, places][:, :, places]
        precisions = np.linalg.inv(covariances)
        levels = np.log(model.weights) - 0.5 * np.linalg.slogdet(covariances).logabsdet
        # The log-densities are quadratic in the features: sums over pairs, features and a constant.
        self._first, self._second = np.triu_indices(len(places))
        factors = np.where(self._first == self._second, -0.5, -1.0)
        self._squares = factors * precisions[:, self._first, self._second]
        self._slopes = np.einsum("kij,kj->ki", precisions, means)
        self._constants = (levels - 0.5 * np.einsum("ki,ki->k", self._slopes, means))[:, None]

    def compute_density(self, values: Array) -> Array:
        """Return the log-density of rows, up to a constant: that of the most probable component.

        Args:
            values: The features without NaN, shape (n, d).

        Returns:
            Shape (n,).
        """
        if len(values) > _BLOCK_ROWS:
            starts = range(0, len(values), _BLOCK_ROWS)
            blocks = [self.compute_density(values[at : at + _BLOCK_ROWS]) for at in starts]
            return np.concatenate(blocks)
        columns = np.ascontiguousarray(values.T)  # loops over rows are faster than over features
        pairs = columns.take(self._first, axis=0)
        pairs *= columns.take(self._second, axis=0)
        densities = self._squares @ pairs
        densities += self._slopes @ columns
        densities += self._constants
        return densities.max(axis=0)


class _Region:
    """The rows in the domain, by some features of the mixture."""

    def __init__(self, model: DomainModel, names: Sequence[str]) -> None:
        found = model.limits[" ".join(names)]
        self._mixture = Mixture(model, names)
        self._edges, self._limits = np.array(found.edges), np.array(found.limits)
        self._brightness = names.index(BRIGHTNESS) if found.edges else 0

    def find_outside(self, values: Array) -> npt.NDArray[np.bool_]:
        bins = self._edges.searchsorted(values[:, self._brightness], side="right")
        # Not "<": infinite values have a density of NaN.
        return ~(self._mixture.compute_density(values) >= self._limits[bins])


@cache
def _find_places(names: tuple[str, ...], wanted: tuple[str, ...]) -> npt.NDArray[np.intp]:
    return np.array([names.index(name) for name in wanted], dtype=np.intp)
