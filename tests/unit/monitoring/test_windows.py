"""Which rows belong to a window, and what becomes of each of them."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skyclass.errors import MonitoringError, ReleaseError
from skyclass.monitoring.windows import (
    MAX_ROWS,
    Accounting,
    Window,
    bounds,
    read_reference_rows,
    read_window,
)
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import REFERENCE
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from tests.support.monitoring import END, START, log, log_rows, publish, simulated

RELEASE = "a" * 64
WINDOW = Window(Mode.SPECTROSCOPIC, RELEASE, START, END)


def logged(size: int = 100, release: str = RELEASE) -> pd.DataFrame:
    return log_rows(simulated(Era.LEGACY, size, seed=1), release)


def test_no_bounds_mean_the_last_whole_period() -> None:
    now = datetime(2026, 5, 2, 0, 10, 3, tzinfo=UTC)
    assert bounds(None, None, now) == (START, END)
    assert bounds(None, None, now + timedelta(hours=20)) == (START, END)
    hour = timedelta(hours=1)
    assert bounds(None, None, now, hour) == (END - hour, END)


def test_bounds_are_taken_to_utc() -> None:
    local = timezone(timedelta(hours=2))
    start, end = bounds(datetime(2026, 5, 1, 2, tzinfo=local), END, END)
    assert start == START
    assert start.tzinfo is UTC
    assert end == END


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (START, None, "its start and its end"),
        (None, END, "its start and its end"),
        (START.replace(tzinfo=None), END, "time zone"),
        (END, START, "give an end that is later"),
        (START, START, "give an end that is later"),
    ],
)
def test_bounds_that_make_no_window_are_refused(
    start: datetime | None, end: datetime | None, message: str
) -> None:
    with pytest.raises(MonitoringError, match=message):
        bounds(start, end, END)


def test_a_window_has_its_start_but_not_its_end(store: ObjectStore) -> None:
    rows = logged(4).assign(
        time=[START - timedelta(microseconds=1), START, END - timedelta(microseconds=1), END]
    )
    log(store, rows)
    assert list(read_window(store, WINDOW).rows["row"]) == [1, 2]


def test_a_window_belongs_to_one_release_and_one_mode(store: ObjectStore) -> None:
    log(store, logged(10))
    log(store, logged(20, release="b" * 64))
    log(store, log_rows(simulated(Era.LEGACY, 30, seed=1), RELEASE, Mode.PHOTOMETRIC))
    assert read_window(store, WINDOW).accounting.rows_in == 10
    photometric = Window(Mode.PHOTOMETRIC, RELEASE, START, END)
    accounting = read_window(store, photometric).accounting
    # Redshift is null in every row of this mode, and no reason to reject one.
    assert (accounting.rows_used, accounting.rejected) == (30, 0)


def test_every_row_is_accounted_for(store: ObjectStore) -> None:
    rows = logged(100)
    rows.loc[0:9, "u"] = -9999.0
    rows.loc[5:14, "redshift"] = np.nan
    rows.loc[20, "z"] = np.inf
    rows.loc[21, "predicted"] = "COMET"
    rows.loc[22, "predicted"] = None
    log(store, rows)
    log(store, rows.loc[10:39])  # a retried request: logged twice, five unfit rows among them
    accounting = read_window(store, WINDOW).accounting
    assert accounting.balanced
    assert accounting == Accounting(
        rows_in=130,
        rows_used=82,
        duplicates=30,
        rejected=18,
        reasons={
            "predicted is no known class": 2,
            "u is the sentinel -9999": 10,
            "z is missing or not finite": 1,
            "redshift is missing or not finite": 10,
        },
        files=accounting.files,
    )


def test_rows_of_one_request_are_not_duplicates_of_another(store: ObjectStore) -> None:
    log(store, logged(10))
    log(store, logged(10).assign(request_id="another"))
    assert read_window(store, WINDOW).accounting.rows_used == 20


def test_an_empty_window_balances(store: ObjectStore) -> None:
    found = read_window(store, WINDOW)
    assert found.accounting == Accounting()
    assert found.rows.empty


def test_a_large_window_is_sampled_alike_each_time(store: ObjectStore) -> None:
    log(store, logged(MAX_ROWS + 1_000))
    first, second = read_window(store, WINDOW), read_window(store, WINDOW)
    assert first.accounting.rows_used == MAX_ROWS + 1_000
    assert len(first.rows) == MAX_ROWS
    pd.testing.assert_frame_equal(first.rows, second.rows)
    assert first.rows["row"].max() > MAX_ROWS


def test_a_reference_is_read_without_its_unfit_rows(store: ObjectStore, tmp_path: Path) -> None:
    rows = simulated(Era.LEGACY, 100, seed=1)
    rows.iloc[:3, rows.columns.get_loc("g")] = -9999.0
    release = publish(LocalChampionStore(store), tmp_path, rows)
    assert len(read_reference_rows(store, release)) == 97


def test_a_large_reference_is_sampled(store: ObjectStore, tmp_path: Path) -> None:
    rows = simulated(Era.LEGACY, MAX_ROWS + 100, seed=1)
    release = publish(LocalChampionStore(store), tmp_path, rows)
    assert len(read_reference_rows(store, release)) == MAX_ROWS


def test_a_reference_that_is_not_the_manifests_is_refused(
    store: ObjectStore, tmp_path: Path
) -> None:
    release = publish(LocalChampionStore(store), tmp_path, simulated(Era.LEGACY, 100, seed=1))
    key, bucket = release.prefix + REFERENCE, store.settings.models_bucket
    store.put(bucket, key, store.get(bucket, key)[:-1] + b"x", "application/octet-stream")
    with pytest.raises(ReleaseError, match=f"{REFERENCE}.*manifest"):
        read_reference_rows(store, release)
