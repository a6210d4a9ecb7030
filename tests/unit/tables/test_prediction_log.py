"""Writing the prediction log and reading windows of it."""

import io
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.log.files import parse_log
from skyclass.tables.log.read import read_log
from skyclass.tables.log.schema import LOG_SCHEMA
from skyclass.tables.log.write import encode_file, encode_log, write_batch
from tests.support.monitoring import write_log

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def make_rows(*times: datetime, release: str = "r", mode: Mode = Mode.PHOTOMETRIC) -> pa.Table:
    rows = [
        {
            **{"time": time, "request_id": "q", "row": row, "model_version": release},
            **{"mode": str(mode), "predicted": "STAR"},
        }
        for row, time in enumerate(times)
    ]
    return pa.Table.from_pylist(rows, schema=LOG_SCHEMA)


def read_rows(store: ObjectStore, start: datetime, end: datetime) -> list[int]:
    rows = read_log(store, start, end, Mode.PHOTOMETRIC, "r").rows
    return sorted(rows["row"])


def test_rows_are_stored_under_the_hour_of_their_time(store: ObjectStore) -> None:
    before = NOON - timedelta(microseconds=1)
    keys = write_log(store, make_rows(before, NOON, NOON))
    assert [key.rpartition("/")[0] for key in keys] == [
        "date=2026-01-01/hour=11",
        "date=2026-01-01/hour=12",
    ]
    assert list(store.list_keys(store.settings.logs_bucket, "")) == sorted(keys)


def test_window_includes_its_start_and_excludes_its_end(store: ObjectStore) -> None:
    end = NOON + timedelta(hours=1)
    instants = [NOON - timedelta(microseconds=1), NOON, end - timedelta(microseconds=1), end]
    write_log(store, make_rows(*instants))
    assert read_rows(store, NOON, end) == [1, 2]


def test_window_starts_within_an_hour_and_crosses_midnight(store: ObjectStore) -> None:
    times = [NOON + timedelta(hours=hours) for hours in (11.4, 11.6, 12.4, 12.6)]
    write_log(store, make_rows(*times))
    start, end = (NOON + timedelta(hours=hours) for hours in (11.5, 12.5))
    assert read_rows(store, start, end) == [1, 2]


@pytest.mark.parametrize("other", [{"release": "s"}, {"mode": Mode.SPECTROSCOPIC}], ids=str)
def test_window_contains_one_release_and_mode(other: dict, store: ObjectStore) -> None:
    write_log(store, make_rows(NOON))
    write_log(store, make_rows(NOON, NOON, **other))
    assert read_rows(store, NOON, NOON + timedelta(hours=1)) == [0]


def test_unreadable_file_is_skipped_and_reported(store: ObjectStore) -> None:
    write_log(store, make_rows(NOON))
    truncated = "date=2026-01-01/hour=12/truncated.parquet"
    store.put(store.settings.logs_bucket, truncated, b"PAR1", "")
    window = read_log(store, NOON, NOON + timedelta(hours=1), Mode.PHOTOMETRIC, "r")
    assert (len(window.rows), window.files, window.unreadable) == (1, 1, (truncated,))


def test_rows_of_version_0_1_0_are_identified_by_their_request_id(store: ObjectStore) -> None:
    old = make_rows(NOON, NOON).drop_columns(["prediction_id", "idempotency_key"])
    sink = io.BytesIO()
    pq.write_table(old, sink)
    store.put(
        store.settings.logs_bucket, "date=2026-01-01/hour=12/old.parquet", sink.getvalue(), ""
    )
    rows = read_log(store, NOON, NOON + timedelta(hours=1), Mode.PHOTOMETRIC, "r").rows
    for name in ("prediction_id", "request_id", "idempotency_key"):
        assert rows[name].tolist() == ["q", "q"]


def test_the_prediction_id_of_older_versions_is_the_idempotency_key() -> None:
    rows = make_rows(NOON).set_column(1, "prediction_id", pa.array(["client's key"]))
    sink = io.BytesIO()
    pq.write_table(rows.drop_columns("idempotency_key"), sink)
    assert parse_log(sink.getvalue())["idempotency_key"].to_pylist() == ["client's key"]
    assert parse_log(encode_file(rows))["idempotency_key"].to_pylist() == [None]


def test_a_repeated_write_replaces_the_file_by_itself(store: ObjectStore) -> None:
    (batch,) = encode_log(make_rows(NOON, NOON), "pod-process-0")
    assert (batch.key, batch.rows) == ("date=2026-01-01/hour=12/pod-process-0.parquet", 2)
    for _ in range(2):
        write_batch(store, batch)
    assert read_rows(store, NOON, NOON + timedelta(hours=1)) == [0, 1]


def test_parquet_that_is_no_log_is_rejected() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"u": [20.0]}), sink)
    with pytest.raises(pa.ArrowInvalid, match="request_id"):
        parse_log(sink.getvalue())


def test_empty_window_has_the_columns_of_the_log(store: ObjectStore) -> None:
    window = read_log(store, NOON, NOON + timedelta(hours=1), Mode.PHOTOMETRIC, "r")
    assert list(window.rows.columns) == LOG_SCHEMA.names
    assert window.files == 0
