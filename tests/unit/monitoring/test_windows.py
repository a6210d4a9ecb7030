"""Windows: bounds, row counts, sampling, references."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skyclass.errors import MonitoringError, ReleaseError
from skyclass.maintenance.merge import merge_hour
from skyclass.monitoring import windows
from skyclass.monitoring.accounting import Accounting
from skyclass.monitoring.windows import (
    MAX_ROWS,
    Window,
    read_reference_rows,
    read_window,
    resolve_bounds,
)
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import REFERENCE
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from tests.support.monitoring import (
    END,
    START,
    draw_observations,
    make_log_rows,
    publish_reference,
    write_log_rows,
)

RELEASE = "a" * 64
WINDOW = Window(Mode.SPECTROSCOPIC, RELEASE, START, END)


def make_rows(size: int = 100, release: str = RELEASE) -> pd.DataFrame:
    return make_log_rows(draw_observations(Era.LEGACY, size, seed=1), release)


def test_default_bounds_are_the_last_whole_period() -> None:
    now = datetime(2026, 5, 2, 0, 10, 3, tzinfo=UTC)
    assert resolve_bounds(None, None, now) == (START, END)
    assert resolve_bounds(None, None, now + timedelta(hours=20)) == (START, END)
    hour = timedelta(hours=1)
    assert resolve_bounds(None, None, now, hour) == (END - hour, END)


def test_bounds_are_converted_to_utc() -> None:
    local = timezone(timedelta(hours=2))
    start, end = resolve_bounds(datetime(2026, 5, 1, 2, tzinfo=local), END, END)
    assert start == START
    assert start.tzinfo is UTC
    assert end == END


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (START, None, "only one bound"),
        (None, END, "only one bound"),
        (START.replace(tzinfo=None), END, "time zone"),
        (END, START, "give a later end"),
        (START, START, "give a later end"),
    ],
)
def test_invalid_bounds_are_rejected(
    start: datetime | None, end: datetime | None, message: str
) -> None:
    with pytest.raises(MonitoringError, match=message):
        resolve_bounds(start, end, END)


def test_window_includes_its_start_and_excludes_its_end(store: ObjectStore) -> None:
    rows = make_rows(4).assign(
        time=[START - timedelta(microseconds=1), START, END - timedelta(microseconds=1), END]
    )
    write_log_rows(store, rows)
    assert list(read_window(store, WINDOW).rows["row"]) == [1, 2]


def test_window_belongs_to_one_release_and_one_mode(store: ObjectStore) -> None:
    write_log_rows(store, make_rows(10))
    write_log_rows(store, make_rows(20, release="b" * 64))
    write_log_rows(
        store, make_log_rows(draw_observations(Era.LEGACY, 30, seed=1), RELEASE, Mode.PHOTOMETRIC)
    )
    assert read_window(store, WINDOW).accounting.rows_in == 10
    photometric = Window(Mode.PHOTOMETRIC, RELEASE, START, END)
    accounting = read_window(store, photometric).accounting
    # Redshift is always null in this mode, and not a cause of rejection.
    assert (accounting.rows_used, accounting.rejected) == (30, 0)


def test_every_row_is_counted_once(store: ObjectStore) -> None:
    rows = make_rows(100).assign(idempotency_key="key")
    rows.loc[0:9, "u"] = -9999.0
    rows.loc[5:14, "redshift"] = np.nan
    rows.loc[20, "z"] = np.inf
    rows.loc[21, "predicted"] = "COMET"
    rows.loc[22, "predicted"] = None
    write_log_rows(store, rows)
    again = rows.loc[10:39].assign(prediction_id="again")  # with five of the invalid rows
    write_log_rows(store, again)
    accounting = read_window(store, WINDOW).accounting
    assert accounting.is_balanced
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


def test_rows_of_other_releases_are_counted_and_left_out(store: ObjectStore) -> None:
    write_log_rows(store, make_rows(10))
    newer = make_rows(30).assign(request_id="later", model_version="newer")
    write_log_rows(store, newer)
    write_log_rows(store, newer.assign(time=END))  # after the window
    found = read_window(store, WINDOW)
    assert (len(found.rows), found.accounting.rows_in) == (10, 10)
    assert found.accounting.other_releases == {"newer": 30}


def test_equal_rows_of_two_requests_are_not_duplicates(store: ObjectStore) -> None:
    write_log_rows(store, make_rows(10))
    write_log_rows(store, make_rows(10).assign(prediction_id="another"))
    assert read_window(store, WINDOW).accounting.rows_used == 20


def test_requests_that_share_a_request_id_are_all_used(store: ObjectStore) -> None:
    rows = make_rows(1200).assign(request_id="42", row=np.arange(1200) % 100)
    rows["prediction_id"] = [f"start-{number // 100}" for number in range(1200)]
    write_log_rows(store, rows)
    assert read_window(store, WINDOW).accounting == Accounting(
        rows_in=1200, rows_used=1200, files=len(rows["time"].dt.hour.unique())
    )


def test_empty_window_is_balanced(store: ObjectStore) -> None:
    found = read_window(store, WINDOW)
    assert found.accounting == Accounting()
    assert found.rows.empty


def test_sample_of_a_large_window_is_reproducible(store: ObjectStore) -> None:
    write_log_rows(store, make_rows(MAX_ROWS + 1_000))
    first, second = read_window(store, WINDOW), read_window(store, WINDOW)
    assert first.accounting.rows_used == MAX_ROWS + 1_000
    assert len(first.rows) == MAX_ROWS
    pd.testing.assert_frame_equal(first.rows, second.rows)
    assert first.rows["row"].max() > MAX_ROWS


def test_sample_and_counts_do_not_depend_on_the_files(
    store: ObjectStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "MAX_ROWS", 200)
    rows = make_rows(600).assign(idempotency_key="key")
    rows.loc[::7, "u"] = -9999.0
    retries = rows.head(50).assign(prediction_id="retry", time=rows["time"] + timedelta(hours=1))
    logged = pd.concat([rows, retries.astype({"out_of_domain": object})])
    other = ObjectStore(settings.model_copy(update={"logs_bucket": "other-logs"}))
    other.make_buckets()
    shuffled = logged.sample(frac=1, random_state=1)
    for part in range(5):
        write_log_rows(other, shuffled.iloc[part::5])
    write_log_rows(store, logged)
    expected, divided = read_window(store, WINDOW), read_window(other, WINDOW)
    for hour in range(24):
        merge_hour(other, START + timedelta(hours=hour))
    merged = read_window(other, WINDOW)
    assert len(expected.rows) == 200
    assert expected.accounting.duplicates == 50
    assert merged.accounting.files < divided.accounting.files
    for found in (divided, merged):
        pd.testing.assert_frame_equal(found.rows, expected.rows)
        files = expected.accounting.files
        assert replace(found.accounting, files=files) == expected.accounting


def test_invalid_reference_rows_are_dropped(store: ObjectStore, tmp_path: Path) -> None:
    rows = draw_observations(Era.LEGACY, 100, seed=1)
    rows.iloc[:3, rows.columns.get_loc("g")] = -9999.0
    release = publish_reference(LocalChampionStore(store), tmp_path, rows)
    assert len(read_reference_rows(store, release)) == 97


def test_large_reference_is_sampled(store: ObjectStore, tmp_path: Path) -> None:
    rows = draw_observations(Era.LEGACY, MAX_ROWS + 100, seed=1)
    release = publish_reference(LocalChampionStore(store), tmp_path, rows)
    assert len(read_reference_rows(store, release)) == MAX_ROWS


def test_reference_that_differs_from_the_manifest_is_rejected(
    store: ObjectStore, tmp_path: Path
) -> None:
    release = publish_reference(
        LocalChampionStore(store), tmp_path, draw_observations(Era.LEGACY, 100, seed=1)
    )
    key, bucket = release.prefix + REFERENCE, store.settings.models_bucket
    store.put(bucket, key, store.get(bucket, key)[:-1] + b"x", "application/octet-stream")
    with pytest.raises(ReleaseError, match=f"{REFERENCE}.*expected"):
        read_reference_rows(store, release)
