"""Windows of the prediction log, and the references they are compared with.

A window belongs to one mode and one release. Every row read is counted once: as used, as a
duplicate, or as invalid. A window of any size is read with bounded memory.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from skyclass.errors import MonitoringError, ReleaseError, one_line
from skyclass.monitoring.accounting import Accounting
from skyclass.monitoring.counting import HourCounter, find_invalid_rows
from skyclass.monitoring.sampling import RowSample
from skyclass.registry.releases import REFERENCE, Registry, Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import ALL_INPUTS, Mode
from skyclass.survey.observation import KEY
from skyclass.tables.log.read import Query, read_hours
from skyclass.tables.log.schema import LOG_SCHEMA, PROBABILITIES, read_reference

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
class WindowRows:
    """The rows of a window.

    Attributes:
        rows: The valid rows in the order of time, sampled to `MAX_ROWS`; see `get_schema`.
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

    The sample depends on the rows only, not on the files that they are in.

    Raises:
        MonitoringError: The accounting is not balanced.
        StoreError: The object store failed.
    """
    columns = get_schema(window.mode).names
    query = Query(window.start, window.end, window.mode, window.release, columns)
    sample, previous = RowSample(MAX_ROWS), np.empty(0, np.uint64)
    accounting = Accounting()

    def start_hour() -> HourCounter:
        return HourCounter(window.mode, window.missing_bands, SEED, sample, previous)

    for hour in read_hours(store, query, start_hour):
        counter = hour.collected
        sample, previous = counter.sample, counter.get_hashes()
        accounting += replace(
            counter.finish(),
            files=hour.files,
            unreadable_files=len(hour.unreadable),
            unreadable_rows=hour.unreadable_rows,
            other_releases=hour.other_releases,
        )
    if not accounting.is_balanced:
        raise MonitoringError(f"row counts of the window are not balanced: {accounting}; report it")
    rows = sample.to_table() or get_schema(window.mode).empty_table()
    return WindowRows(rows.to_pandas(), accounting)


def get_schema(mode: Mode) -> pa.Schema:
    """Return the schema of the rows of a window: columns of `LOG_SCHEMA`."""
    used = {
        *("time", "prediction_id", "idempotency_key", "row", "model_version", "mode"),
        *(*KEY, *ALL_INPUTS[mode], "predicted", *PROBABILITIES, "out_of_domain"),
    }
    return pa.schema([field for field in LOG_SCHEMA if field.name in used])


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
    invalid = np.logical_or.reduce(list(find_invalid_rows(rows, release.mode, ()).values()))
    return rows.iloc[_sample(np.flatnonzero(~invalid))]


def _sample(positions: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    if len(positions) <= MAX_ROWS:
        return positions
    sample = np.random.default_rng(SEED).choice(positions, MAX_ROWS, replace=False)
    return np.sort(sample)
