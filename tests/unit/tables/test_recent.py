"""Pages of recent predictions."""

from datetime import timedelta

import pandas as pd
import pytest

from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from skyclass.tables.log.recent import Cursor, read_recent_predictions
from tests.support.monitoring import END, START, draw_observations, make_log_rows, write_log_rows

MODE = Mode.SPECTROSCOPIC
RELEASE = "a" * 64


@pytest.fixture
def rows(store: ObjectStore) -> pd.DataFrame:
    """Seventy predictions over a day, thirty at one instant, and some of the other mode."""
    observed = draw_observations(Era.LEGACY, 70, seed=1)
    spread = make_log_rows(observed, RELEASE)
    burst = spread.head(30).assign(time=START + timedelta(hours=7), prediction_id="burst")
    write_log_rows(store, pd.concat([spread, burst]))
    write_log_rows(store, make_log_rows(observed, RELEASE, Mode.PHOTOMETRIC))
    return pd.concat([spread, burst])


@pytest.mark.slow
def test_pages_contain_every_row_once_newest_first(store: ObjectStore, rows: pd.DataFrame) -> None:
    found, cursor = [], None
    for _ in range(9):
        page = read_recent_predictions(store, MODE, 16, END, cursor)
        found.append(page.rows)
        if page.next is None:
            break
        cursor = Cursor.parse(str(page.next))
    together = pd.concat(found)
    assert [len(each) for each in found] == [16] * 6 + [4]
    assert together["time"].is_monotonic_decreasing
    assert set(zip(together["prediction_id"], together["row"], strict=True)) == set(
        zip(rows["prediction_id"], rows["row"], strict=True)
    )
    assert set(together["mode"]) == {str(MODE)}


def test_page_of_an_empty_log_is_empty(store: ObjectStore) -> None:
    page = read_recent_predictions(store, MODE, 16, END)
    assert page.rows.empty
    assert page.next is None


def test_unreadable_file_is_skipped(store: ObjectStore, rows: pd.DataFrame) -> None:
    key = f"date={START:%Y-%m-%d}/hour=23/truncated.parquet"
    store.put(store.settings.logs_bucket, key, b"PAR1", "application/octet-stream")
    assert len(read_recent_predictions(store, MODE, 200, END).rows) == 100


@pytest.mark.parametrize("text", ["", "x", "1.2", "1.x.y", "-1.2.a"])
def test_malformed_cursor_is_none(text: str) -> None:
    assert Cursor.parse(text) is None
