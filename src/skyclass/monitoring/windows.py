"""Windows of the prediction log, and the references they are compared with.

A window belongs to one mode and one release. Every row read is counted once: as used, as a
duplicate, or as invalid.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from skyclass.errors import MonitoringError, ReleaseError, one_line
from skyclass.registry.releases import REFERENCE, Registry, Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import CLASSES, is_sentinel
from skyclass.tables.log.read import read_log
from skyclass.tables.log.schema import read_reference

MAX_ROWS = 50_000
"""Maximum number of rows compared per side. The policy tests effect sizes, which 50,000 rows give
to within 0.01; more rows cost time and memory and change no verdict."""

SEED = 0
"""Seed of the samples, fixed so that a window always gives the same verdict."""

DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Window:
    """The predictions of one release in [start, end).

    Attributes:
        mode: Mode of the release.
        release: Id of the release.
        start: Start (UTC), included.
        end: End (UTC), excluded.
        missing_bands: Magnitudes that a row may lack, one of them at a time.
    """

    mode: Mode
    release: str
    start: datetime
    end: datetime
    missing_bands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Accounting:
    """Counts of the rows of a window.

    Attributes:
        rows_in: Rows read.
        rows_used: Distinct valid rows.
        duplicates: Rows of later attempts of a request, which have its idempotency key.
        rejected: Distinct invalid rows.
        reasons: Number of rows per cause of invalidity; a row can have several causes.
        files: Log files read.
        unreadable_files: Log files skipped because they are not Parquet files of the log's schema.
        other_releases: Rows of each other release in the window, which are left out of all counts.
    """

    rows_in: int = 0
    rows_used: int = 0
    duplicates: int = 0
    rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    files: int = 0
    unreadable_files: int = 0
    other_releases: Mapping[str, int] = field(default_factory=dict)

    @property
    def distinct_rows(self) -> int:
        """Rows read, without duplicates."""
        return self.rows_used + self.rejected

    @property
    def other_rows(self) -> int:
        """Rows of other releases, which were left out."""
        return sum(self.other_releases.values())

    @property
    def is_balanced(self) -> bool:
        """Whether every row read is counted exactly once."""
        return self.rows_in == self.rows_used + self.duplicates + self.rejected


@dataclass(frozen=True)
class WindowRows:
    """The rows of a window.

    Attributes:
        rows: The valid rows, sampled to `MAX_ROWS`; columns of `LOG_SCHEMA`.
        accounting: Counts of all rows of the window.
    """

    rows: pd.DataFrame
    accounting: Accounting


def resolve_bounds(
    start: datetime | None, end: datetime | None, now: datetime, length: timedelta = DAY
) -> tuple[datetime, datetime]:
    """Return the bounds of a window in UTC: the given ones, or the last whole period.

    Periods are counted from midnight UTC. A job that runs once per period (a daily CronJob with
    the default length) therefore evaluates every row once, and the same rows again if it is late
    or retried. Schedule it some minutes after the hour: predictors write their log in intervals.

    Args:
        start: Start of the window, included.
        end: End of the window, excluded.
        now: The current time; used only without bounds.
        length: Length of a period, used only without bounds: a whole part of a day, or days.

    Raises:
        MonitoringError: Only one bound is given, a bound has no time zone, or the window is empty.
    """
    if start is None and end is None:
        end = now - (now - _EPOCH) % length
        start = end - length
    if start is None or end is None:
        raise MonitoringError(
            "window has only one bound: give both start and end, or neither for yesterday (UTC)"
        )
    if start.tzinfo is None or end.tzinfo is None:
        raise MonitoringError(
            f"window bounds {start.isoformat()} and {end.isoformat()} need a time zone: "
            "write them like 2026-05-01T00:00:00Z"
        )
    if start >= end:
        raise MonitoringError(
            f"window is empty: it starts at {start.isoformat()} and ends at {end.isoformat()}; "
            "give a later end"
        )
    return start.astimezone(UTC), end.astimezone(UTC)


def read_window(store: ObjectStore, window: Window) -> WindowRows:
    """Read a window from the prediction log.

    Raises:
        MonitoringError: The accounting is not balanced.
        StoreError: The object store failed.
    """
    log = read_log(store, window.start, window.end, window.mode, window.release)
    requests = log.rows["idempotency_key"].fillna(log.rows["prediction_id"])
    duplicate = log.rows[["row"]].assign(request=requests).duplicated().to_numpy()
    causes = _find_invalid_rows(log.rows, window.mode, window.missing_bands)
    invalid = np.logical_or.reduce(list(causes.values())) & ~duplicate
    used = np.flatnonzero(~invalid & ~duplicate)
    counts = {cause: int((mask & ~duplicate).sum()) for cause, mask in causes.items()}
    accounting = Accounting(
        rows_in=len(log.rows),
        rows_used=len(used),
        duplicates=int(duplicate.sum()),
        rejected=int(invalid.sum()),
        reasons={cause: count for cause, count in counts.items() if count},
        files=log.files,
        unreadable_files=len(log.unreadable),
        other_releases=log.other_releases,
    )
    if not accounting.is_balanced:
        raise MonitoringError(f"row counts of the window are not balanced: {accounting}; report it")
    return WindowRows(log.rows.iloc[_sample(used)], accounting)


def read_reference_rows(store: ObjectStore, release: Release) -> pd.DataFrame:
    """Read the rows that the windows of a release are compared with.

    Returns:
        The valid rows, sampled to `MAX_ROWS`; columns of `REFERENCE_SCHEMA`.

    Raises:
        ReleaseError: The reference is missing, damaged, or differs from the manifest.
        StoreError: The object store failed.
    """
    data = Registry(store).read_file(release, REFERENCE)
    try:
        rows = read_reference(data)
    except (pa.ArrowException, OSError) as error:
        raise ReleaseError(
            f"release {release.id[:12]}: {REFERENCE} cannot be read ({one_line(error)}): "
            "train and publish a new release"
        ) from error
    invalid = np.logical_or.reduce(list(_find_invalid_rows(rows, release.mode, ()).values()))
    return rows.iloc[_sample(np.flatnonzero(~invalid))]


def _find_invalid_rows(
    rows: pd.DataFrame, mode: Mode, missing_bands: Sequence[str]
) -> dict[str, npt.NDArray[np.bool_]]:
    """Return a mask of the invalid rows for each cause."""
    lacks_one = rows[list(INPUTS[mode])].isna().sum(axis=1).to_numpy() == 1
    causes = {"predicted is no known class": ~rows["predicted"].isin(CLASSES).to_numpy()}
    for name in INPUTS[mode]:
        values = rows[name].to_numpy(dtype=np.float64)
        causes[f"{name} is the sentinel -9999"] = is_sentinel(values)
        may_lack = lacks_one & np.isnan(values) if name in missing_bands else False
        causes[f"{name} is missing or not finite"] = ~np.isfinite(values) & ~np.asarray(may_lack)
    return causes


def _sample(positions: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    if len(positions) <= MAX_ROWS:
        return positions
    sample = np.random.default_rng(SEED).choice(positions, MAX_ROWS, replace=False)
    return np.sort(sample)
