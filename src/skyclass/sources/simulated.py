"""A simulated survey that drifts as the real one did. Its rows are labelled as synthetic.

Each era and class is a mixture of six Gaussians over (u-g, g-r, r-i, i-z, r, zeta), fitted to DR17
rows. zeta is log(1 + redshift), for stars 1000 x redshift. The tails are lighter than in real data,
and the structure on the sky is not modelled. `simulated_groups` adds optional inputs.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyclass.errors import CatalogError
from skyclass.sources.base import BATCH_ROWS, Batch
from skyclass.sources.simulated_groups import Observed, draw_groups
from skyclass.survey.features import MAGNITUDES, InputGroup
from skyclass.survey.observation import (
    CLASSES,
    NOT_MEASURED,
    OPTIONAL_COLUMNS,
    ROW_COLUMNS,
    Era,
)

SCHEME = "simulated:"
RELEASE = "SIMULATED"
"""Data release of synthetic rows."""

SENTINEL_SHARE = 1e-5
"""Share of rows whose u magnitude is the sentinel, as in the public table."""

_COLOUR_RANGE = (-3.0, 6.0)
_REDSHIFT_RANGE = {"GALAXY": (-0.007, 2.0), "QSO": (0.01, 7.02), "STAR": (-0.0042, 0.0042)}
_FIBRES = 640
_FIRST_PLATE = 20_000  # real plate numbers end below 16,384
_PLATES_PER_ERA = 30_000
_PLATES_PER_SEED = 100_000
_MAX_SEED = 20_000
_BLOCK_ROWS = 5_000
"""Rows per random stream, so that the values of a key do not depend on the number of rows."""

FIRST_DAY = date(2021, 1, 1)
"""Earliest simulated day; it is later than all nights of DR17."""
_MJD_EPOCH = 678_576
"""Proleptic Gregorian ordinal of MJD 0."""


def is_synthetic(release: str) -> bool:
    """Return whether the rows of a data release are synthetic.

    Examples:
        >>> is_synthetic("SIMULATED"), is_synthetic("DR17")
        (True, False)
    """
    return release == RELEASE


@dataclass(frozen=True)
class SimulatedSource:
    """Observations drawn from the mixtures; equal arguments give equal rows.

    Attributes:
        rows: Number of observations, divided equally among the eras.
        eras: Survey eras to draw from, in order of time.
        seed: Random seed; each seed has its own range of plates.
        day: Night of all observations. If None, nights are spread over each era.
        groups: Groups of optional inputs that the observations have.
    """

    rows: int
    eras: tuple[Era, ...]
    seed: int
    day: date | None = None
    groups: tuple[InputGroup, ...] = ()

    def __post_init__(self) -> None:
        most = _PLATES_PER_ERA * _FIBRES * len(self.eras)
        if not 0 < self.rows <= most:
            raise CatalogError(f"{self.name}: rows must be between 1 and {most}")
        if len(set(self.eras)) < len(self.eras):
            raise CatalogError(f"{self.name}: duplicate era: name each once")
        if not 0 <= self.seed <= _MAX_SEED:
            raise CatalogError(f"{self.name}: seed must be between 0 and {_MAX_SEED}")
        if self.day and self.day < FIRST_DAY:
            raise CatalogError(f"{self.name}: day must be {FIRST_DAY} or later")

    @classmethod
    def from_uri(cls, uri: str) -> "SimulatedSource":
        """Parse a URI such as `simulated:?rows=6000&era=legacy,boss&seed=0`.

        `day=2026-01-31` or `day=today` (UTC) simulates a single night; the era then defaults to
        the newest one. `groups=psf,wise` adds optional inputs; the other values stay the same.

        Raises:
            CatalogError: A parameter is unknown or its value is invalid.
        """
        query = uri.removeprefix(SCHEME)
        given = dict(parse_qsl(query.removeprefix("?"), keep_blank_values=True))
        unknown = sorted(set(given) - {"rows", "era", "seed", "day", "groups"})
        if unknown or (query and not query.startswith("?")):
            raise CatalogError(
                f"{uri}: unknown part {unknown[0] if unknown else query}: "
                "write simulated:?rows=6000&era=legacy&seed=0"
            )
        try:
            day = _parse_day(given["day"]) if "day" in given else None
            newest = Era.EBOSS if day else ",".join(Era)
            eras = tuple(Era(name) for name in given.get("era", newest).split(","))
            groups = tuple(InputGroup(name) for name in given.get("groups", "").split(",") if name)
            rows, seed = int(given.get("rows", "10000")), int(given.get("seed", "0"))
            return cls(rows, eras, seed, day, groups)
        except ValueError as error:
            raise CatalogError(
                f"{uri}: {error}: rows and seed are whole numbers, era is one or more of "
                f"{', '.join(Era)}, day is today or a date like 2026-01-31, groups is one or more "
                f"of {', '.join(InputGroup)}"
            ) from None

    @property
    def name(self) -> str:
        """URI of the source with all parameters."""
        day = f"&day={self.day}" if self.day else ""
        groups = f"&groups={','.join(self.groups)}" if self.groups else ""
        return f"{SCHEME}?rows={self.rows}&era={','.join(self.eras)}&seed={self.seed}{day}{groups}"

    @property
    def watermark_id(self) -> str:
        """The URI, since equal arguments give equal rows."""
        return self.name

    def read_batches(self, after: int) -> Iterator[Batch]:
        """Draw the rows that follow row number `after`."""
        position = 0
        for number, era in enumerate(self.eras):
            total = len(range(number, self.rows, len(self.eras)))
            for first in range(0, total, BATCH_ROWS):
                size = min(BATCH_ROWS, total - first)
                start, position = position, position + size
                if position > after:
                    rows = draw(era, first, size, self.seed, self.day, self.groups)
                    yield Batch(rows.slice(max(after - start, 0)), position)


def draw(
    era: Era,
    first: int,
    size: int,
    seed: int,
    day: date | None = None,
    groups: tuple[InputGroup, ...] = (),
) -> pa.Table:
    """Draw observations of one era.

    Args:
        era: The era whose mixtures are used.
        first: Number of the first observation within the era; it determines keys and values.
        size: Number of observations.
        seed: Random seed.
        day: Night of all observations. If None, nights are spread over the era.
        groups: Groups of optional inputs to add.

    Returns:
        Columns `ROW_COLUMNS` and those of the groups, `size` rows.
    """
    blocks = range(first // _BLOCK_ROWS, (first + size - 1) // _BLOCK_ROWS + 1)
    rows = pa.concat_tables([_draw_block(era, block, seed, day, groups) for block in blocks])
    return rows.slice(first - blocks[0] * _BLOCK_ROWS, size).combine_chunks()


def _draw_block(
    era: Era, block: int, seed: int, day: date | None, groups: tuple[InputGroup, ...]
) -> pa.Table:
    mixture = _load_mixtures()[era]
    era_index = list(Era).index(era)
    mjd = day.toordinal() - _MJD_EPOCH if day else 0
    stream = (seed, era_index, block, mjd)
    rng = np.random.default_rng(stream)
    size = _BLOCK_ROWS
    priors = np.array([mixture["priors"][name] for name in CLASSES])
    names = rng.choice(CLASSES, size=size, p=priors / priors.sum())  # stored rounded
    colours = np.empty((size, 5))
    redshift = np.empty(size)
    for name in CLASSES:
        chosen = names == name
        values = _draw_class(rng, mixture[name], int(chosen.sum()))
        colours[chosen] = np.column_stack([values[:, :4].clip(*_COLOUR_RANGE), values[:, 4]])
        zeta = values[:, 5]
        raw = zeta / 1000 if name == "STAR" else np.expm1(zeta)
        redshift[chosen] = raw.clip(*_REDSHIFT_RANGE[name])
    u_g, g_r, r_i, i_z, r = colours.T
    g, i = r + g_r, r - r_i
    magnitudes = np.column_stack([g + u_g, g, r, i, i - i_z]).round(5)
    measured = magnitudes.copy()
    measured[rng.random(size) < SENTINEL_SHARE, 0] = NOT_MEASURED
    alpha, delta = rng.uniform(0, 360, size).round(7), rng.uniform(-10, 70, size).round(7)
    redshift = redshift.round(7)
    observed = Observed(names, magnitudes, redshift, alpha, delta)
    optional = draw_groups(groups, observed, stream) if groups else {}

    number = np.arange(block * size, (block + 1) * size)
    plate_number = era_index * _PLATES_PER_ERA + number // _FIBRES
    # A plate is observed in one night; the golden ratio spreads the plates over the era.
    first_mjd, last_mjd = (mjd, mjd) if day else mixture["mjd"]
    night = plate_number * 0.618033988749895 % 1 * (last_mjd - first_mjd)
    columns = {
        "plate": _FIRST_PLATE + seed * _PLATES_PER_SEED + plate_number,
        "mjd": first_mjd + night.astype(int),
        "fiber_id": number % _FIBRES + 1,
        "alpha": alpha,
        "delta": delta,
        **dict(zip(MAGNITUDES, measured.T, strict=True)),
        "redshift": redshift,
        "class": pa.array(names.tolist(), pa.string()),
        "release": pa.repeat(pa.scalar(RELEASE), size),
    }
    table = pa.table({name: columns[name] for name in ROW_COLUMNS})
    for name in OPTIONAL_COLUMNS:
        if name in optional:
            table = table.append_column(name, pa.array(optional[name], from_pandas=True))
    return table


def _parse_day(text: str) -> date:
    return datetime.now(UTC).date() if text == "today" else date.fromisoformat(text)


def _draw_class(
    rng: np.random.Generator, mixture: dict[str, Any], size: int
) -> npt.NDArray[np.float64]:
    """Draw from the mixture of one class: shape (size, 6), in units of the data."""
    weights = np.array(mixture["weights"])
    component = rng.choice(len(weights), size=size, p=weights / weights.sum())
    roots = np.linalg.cholesky(np.array(mixture["covs"]))
    normal = rng.standard_normal((size, 6))
    standard = np.array(mixture["means"])[component] + np.einsum(
        "nij,nj->ni", roots[component], normal
    )
    return np.array(mixture["mean"]) + standard * np.array(mixture["scale"])


@cache
def _load_mixtures() -> dict[str, Any]:
    text = resources.files("skyclass.sources").joinpath("sdss_mixture_by_era.json").read_text()
    mixture: dict[str, Any] = json.loads(text)
    return mixture
