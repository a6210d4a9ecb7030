"""Windows of the prediction log and the references they are compared with.

A window belongs to one mode and one release. Every row found in it is accounted for: it is used,
it is a duplicate, or it is rejected because it cannot be compared with anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from skyclass.errors import MonitoringError, ReleaseError
from skyclass.registry.releases import REFERENCE, Registry, Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import CLASSES, NOT_MEASURED
from skyclass.tables.prediction_log import read_log, read_reference

MAX_ROWS = 50_000
"""Rows per side that are compared. More would cost time and memory and change no verdict: the
rule rests on effect sizes, which 50,000 rows give to within 0.01."""

SEED = 0
"""Draws those rows, so that a window always gives the same verdict. Recorded in each verdict."""

DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ROW_KEY = ["request_id", "row"]


@dataclass(frozen=True)
class Window:
    """The answers of one release in [start, end)."""

    mode: Mode
    release: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Accounting:
    """What became of every row that was found in a window.

    Attributes:
        rows_in: Rows read.
        rows_used: Distinct rows that can be compared with the reference.
        duplicates: Rows whose request id and row number had been read before.
        rejected: Distinct rows that are unfit.
        reasons: How often each reason of rejection occurred; a row may have several.
        files: Log files read.
        unreadable_files: Log files left out because they are no Parquet of the log's schema.
    """

    rows_in: int = 0
    rows_used: int = 0
    duplicates: int = 0
    rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    files: int = 0
    unreadable_files: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every row read is accounted for."""
        return self.rows_in == self.rows_used + self.duplicates + self.rejected


@dataclass(frozen=True)
class WindowRows:
    """The rows of a window.

    Attributes:
        rows: Columns of the log's schema: the used rows, at most `MAX_ROWS` of them.
        accounting: What became of the others.
    """

    rows: pd.DataFrame
    accounting: Accounting


def bounds(
    start: datetime | None, end: datetime | None, now: datetime, length: timedelta = DAY
) -> tuple[datetime, datetime]:
    """The bounds of a window in UTC: those asked for, else the last whole period.

    Periods are counted from midnight UTC, so a job that runs once per period (a daily CronJob
    with the default length) sees every row once, and the same ones again when it is late or
    retried. Run it some minutes after the hour: predictors write their log in intervals.

    Args:
        start: The window's start, included.
        end: The window's end, excluded.
        now: The present time; it matters only when neither bound is given.
        length: The period's length when neither bound is given: a whole part of a day, or days.

    Raises:
        MonitoringError: Only one bound is given, one has no time zone, or the window is empty.
    """
    if start is None and end is None:
        end = now - (now - _EPOCH) % length
        start = end - length
    if start is None or end is None:
        raise MonitoringError(
            "a window needs its start and its end: give both, or neither for yesterday (UTC)"
        )
    if start.tzinfo is None or end.tzinfo is None:
        raise MonitoringError(
            "a window's bounds need a time zone: write them like 2026-05-01T00:00:00Z"
        )
    if start >= end:
        raise MonitoringError(
            f"the window starts at {start:%Y-%m-%dT%H:%M:%S%z} and ends at "
            f"{end:%Y-%m-%dT%H:%M:%S%z}: give an end that is later"
        )
    return start.astimezone(UTC), end.astimezone(UTC)


def read_window(store: ObjectStore, window: Window) -> WindowRows:
    """Read a window from the prediction log.

    Args:
        store: The object store.
        window: Which rows.

    Raises:
        MonitoringError: The accounting does not balance.
        StoreError: The object store failed.
    """
    log = read_log(store, window.start, window.end, window.mode, window.release)
    duplicate = log.rows.duplicated(_ROW_KEY).to_numpy()
    causes = _causes(log.rows, window.mode)
    unfit = np.logical_or.reduce(list(causes.values())) & ~duplicate
    used = np.flatnonzero(~unfit & ~duplicate)
    counts = {cause: int((mask & ~duplicate).sum()) for cause, mask in causes.items()}
    accounting = Accounting(
        rows_in=len(log.rows),
        rows_used=len(used),
        duplicates=int(duplicate.sum()),
        rejected=int(unfit.sum()),
        reasons={cause: count for cause, count in counts.items() if count},
        files=log.files,
        unreadable_files=len(log.unreadable),
    )
    if not accounting.balanced:
        raise MonitoringError(f"the window's accounting does not balance ({accounting}): report it")
    return WindowRows(log.rows.iloc[_sample(used)], accounting)


def read_reference_rows(store: ObjectStore, release: Release) -> pd.DataFrame:
    """Read the rows that a release's windows are compared with.

    Args:
        store: The object store.
        release: The release, whose manifest vouches for the file.

    Returns:
        Columns of `REFERENCE_SCHEMA`: the fit rows, at most `MAX_ROWS` of them.

    Raises:
        ReleaseError: The reference is missing, or not what the manifest says.
        StoreError: The object store failed.
    """
    where = f"release {release.id[:12]}: {REFERENCE}"
    data = Registry(store).read_file(release, REFERENCE)
    try:
        rows = read_reference(data)
    except (pa.ArrowException, OSError) as error:
        raise ReleaseError(
            f"{where} cannot be read ({str(error).splitlines()[0]}): "
            "train and publish a new release"
        ) from error
    unfit = np.logical_or.reduce(list(_causes(rows, release.mode).values()))
    return rows.iloc[_sample(np.flatnonzero(~unfit))]


def _causes(rows: pd.DataFrame, mode: Mode) -> dict[str, npt.NDArray[np.bool_]]:
    """Which rows are unfit, by cause."""
    causes = {"predicted is no known class": ~rows["predicted"].isin(CLASSES).to_numpy()}
    for name in INPUTS[mode]:
        values = rows[name].to_numpy(dtype=np.float64)
        causes[f"{name} is the sentinel -9999"] = values == NOT_MEASURED
        causes[f"{name} is missing or not finite"] = ~np.isfinite(values)
    return causes


def _sample(positions: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    if len(positions) <= MAX_ROWS:
        return positions
    chosen = np.random.default_rng(SEED).choice(positions, MAX_ROWS, replace=False)
    return np.sort(chosen)
