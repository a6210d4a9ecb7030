"""Samples by hash: the same rows whatever their order; attempts of one request count once."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from skyclass.monitoring.counting import HourCounter
from skyclass.monitoring.sampling import RowSample, hash_rows
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from skyclass.tables.log.schema import LOG_SCHEMA
from tests.support.monitoring import START, draw_observations, make_log_rows

HOUR = timedelta(hours=1)
NO_HASHES = np.empty(0, np.uint64)


@pytest.fixture(scope="module")
def logged() -> pd.DataFrame:
    """Rows of one request at the start of an hour."""
    rows = make_log_rows(draw_observations(Era.LEGACY, 500, seed=1), "a" * 64)
    return rows.assign(time=pd.Timestamp(START))


def to_table(rows: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(rows, schema=LOG_SCHEMA, preserve_index=False)


def draw_sample(parts: list[pd.DataFrame], size: int, seed: int = 0) -> pd.DataFrame:
    sample = RowSample(size)
    for part in parts:
        table = to_table(part)
        sample.add(table, hash_rows(table, seed), np.ones(len(part), bool))
    found = sample.to_table()
    assert found is not None
    return found.to_pandas()


def count(
    *hours: pd.DataFrame, sample: RowSample | None = None
) -> tuple[list[tuple[int, int]], RowSample]:
    """Count consecutive hours; return the used and duplicate rows of each, and the sample."""
    sample, previous, counts = RowSample(1_000), NO_HASHES, []
    for rows in hours:
        counter = HourCounter(Mode.SPECTROSCOPIC, (), 0, sample, previous)
        counter.add(to_table(rows))
        found = counter.finish()
        assert found.is_balanced
        counts.append((found.rows_used, found.duplicates))
        sample, previous = counter.sample, counter.get_hashes()
    return counts, sample


def test_sample_is_the_same_in_any_order_and_division(logged: pd.DataFrame) -> None:
    expected = draw_sample([logged], 50)
    assert len(expected) == 50
    shuffled = logged.sample(frac=1, random_state=1)
    parts = [shuffled.iloc[start : start + 7] for start in range(0, len(shuffled), 7)]
    pd.testing.assert_frame_equal(draw_sample(parts, 50), expected)


def test_sample_depends_on_the_seed(logged: pd.DataFrame) -> None:
    first, second = draw_sample([logged], 50), draw_sample([logged], 50, seed=1)
    assert set(first["row"]) != set(second["row"])


def test_sample_is_drawn_from_all_rows_alike(logged: pd.DataFrame) -> None:
    requests = [logged.assign(prediction_id=str(number)) for number in range(40)]
    rows = draw_sample(requests, 2_000)["row"]
    assert rows.mean() == pytest.approx(249.5, abs=4 * 500 / np.sqrt(12 * 2_000))


def test_hashes_are_the_same_in_every_version(logged: pd.DataFrame) -> None:
    rows = to_table(logged.head(3))
    assert hash_rows(rows, 0).tolist() == [
        3226187826613060420,
        3528949088426957385,
        2846173521100006014,
    ]


def test_row_without_number_or_identity_does_not_change_other_hashes(
    logged: pd.DataFrame,
) -> None:
    rows = logged.head(4).astype({"row": "Int32"})
    rows.loc[0, ["prediction_id", "row"]] = [None, pd.NA]
    hashes = hash_rows(to_table(rows), 0)
    assert hashes[1:].tolist() == hash_rows(to_table(rows.tail(3)), 0).tolist()


def test_rows_without_an_idempotency_key_are_never_duplicates(logged: pd.DataFrame) -> None:
    counts, _ = count(pd.concat([logged, logged.assign(prediction_id="another")]))
    assert counts == [(1_000, 0)]


def test_earliest_attempt_of_an_hour_counts(logged: pd.DataFrame) -> None:
    first = logged.assign(idempotency_key="key", prediction_id="first")
    retry = first.assign(prediction_id="retry", time=logged["time"] + HOUR / 2)
    counts, sample = count(pd.concat([retry, first]))
    assert counts == [(500, 500)]
    found = sample.to_table()
    assert found is not None
    assert found["prediction_id"].unique().to_pylist() == ["first"]


def test_attempts_in_the_next_hour_are_duplicates(logged: pd.DataFrame) -> None:
    attempts = [
        logged.assign(idempotency_key="key", prediction_id=str(n), time=logged["time"] + n * HOUR)
        for n in range(3)
    ]
    counts, sample = count(*attempts)
    assert counts == [(500, 0), (0, 500), (0, 500)]
    found = sample.to_table()
    assert found is not None
    assert found["prediction_id"].unique().to_pylist() == ["0"]


def test_attempt_two_hours_later_is_another_request(logged: pd.DataFrame) -> None:
    first = logged.assign(idempotency_key="key")
    other = logged.assign(prediction_id="other", time=logged["time"] + HOUR)
    late = first.assign(prediction_id="late", time=logged["time"] + 2 * HOUR)
    counts, sample = count(first, other, late)
    assert counts == [(500, 0), (500, 0), (500, 0)]
    found = sample.to_table()
    assert found is not None
    assert len(found) == 1_000  # of 1,500 rows


def test_invalid_attempts_are_rejected_once(logged: pd.DataFrame) -> None:
    invalid = logged.assign(idempotency_key="key", u=-9999.0)
    counter = HourCounter(Mode.SPECTROSCOPIC, (), 0, RowSample(10), NO_HASHES)
    counter.add(to_table(pd.concat([invalid, invalid.assign(prediction_id="retry")])))
    found = counter.finish()
    assert (found.rows_in, found.rejected, found.duplicates) == (1_000, 500, 500)
    assert found.reasons == {"u is the sentinel -9999": 500}
