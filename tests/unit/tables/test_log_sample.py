"""A bounded random sample of the prediction log."""

from datetime import timedelta

import pandas as pd
import pytest

from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import Era
from skyclass.tables.log.sample import sample_log
from tests.support.monitoring import END, START, draw_observations, make_log_rows, write_log_rows

MODE = Mode.SPECTROSCOPIC
RELEASE = "a" * 64


def sample(store: ObjectStore, max_rows: int = 1_000, seed: int = 0) -> pd.DataFrame:
    return sample_log(store, START, END, MODE, RELEASE, max_rows, seed)


@pytest.fixture(scope="module")
def logged() -> pd.DataFrame:
    """Rows of one day."""
    return make_log_rows(draw_observations(Era.LEGACY, 600, seed=1), RELEASE)


def test_sample_has_all_rows_of_a_small_log(store: ObjectStore, logged: pd.DataFrame) -> None:
    write_log_rows(store, logged)
    found = sample(store).sort_values("row").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, logged, check_dtype=False)


def test_sample_is_bounded_and_reproducible(store: ObjectStore, logged: pd.DataFrame) -> None:
    write_log_rows(store, logged)
    first = sample(store, max_rows=100)
    assert len(first) == 100
    pd.testing.assert_frame_equal(sample(store, max_rows=100), first)
    assert set(sample(store, max_rows=100, seed=1)["row"]) != set(first["row"])


def test_one_file_contributes_a_tenth_at_most(store: ObjectStore, logged: pd.DataFrame) -> None:
    one_hour = logged.assign(time=START)  # one file
    write_log_rows(store, one_hour)
    assert len(sample(store, max_rows=500)) == 50


def test_object_counts_once_however_often_it_is_requested(
    store: ObjectStore, logged: pd.DataFrame
) -> None:
    repeated = pd.concat(200 * [logged.head(3)]).assign(time=logged["time"].to_numpy())
    write_log_rows(store, repeated)
    assert len(sample(store)) == 3


def test_rows_of_other_releases_modes_and_times_are_left_out(
    store: ObjectStore, logged: pd.DataFrame
) -> None:
    write_log_rows(store, logged.head(100).assign(model_version="b" * 64))
    write_log_rows(store, logged.head(100).assign(mode="photometric"))
    write_log_rows(store, logged.head(100).assign(time=START - timedelta(hours=1)))
    write_log_rows(store, logged.head(100).assign(time=END))
    write_log_rows(store, logged.tail(7))
    assert set(sample(store)["row"]) == set(logged["row"].tail(7))


def test_photometric_rows_need_no_redshift(store: ObjectStore) -> None:
    observations = draw_observations(Era.LEGACY, 50, seed=1)
    write_log_rows(store, make_log_rows(observations, RELEASE, Mode.PHOTOMETRIC))
    found = sample_log(store, START, END, Mode.PHOTOMETRIC, RELEASE, 1_000, 0)
    assert len(found) == 50
    assert found[list(INPUTS[Mode.PHOTOMETRIC])].notna().all(axis=None)


def test_unreadable_file_is_skipped(
    store: ObjectStore, logged: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    (key, *_) = write_log_rows(store, logged)
    store.put(store.settings.logs_bucket, key, b"no Parquet", "")
    assert 0 < len(sample(store)) < len(logged)
    assert f"{key} cannot be read, skipped: " in caplog.text
