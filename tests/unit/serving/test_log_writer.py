"""The queue of the prediction log is bounded and never blocks."""

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import REGISTRY

from skyclass.errors import ServingError
from skyclass.polling import poll
from skyclass.serving import log_writer
from skyclass.serving.log_entry import LogEntry, to_table
from skyclass.serving.log_writer import PredictionLogWriter
from skyclass.serving.settings import ServingSettings
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import ALL_INPUTS, INPUTS, Mode
from skyclass.survey.observation import CLASSES, KEY
from skyclass.tables.log.files import parse_log
from skyclass.tables.log.read import read_log
from skyclass.tables.log.schema import LOG_SCHEMA, PROBABILITIES
from skyclass.tables.log.write import encode_file

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


def make_entry(rows: int, request: str = "request", **changes: Any) -> LogEntry:
    rng = np.random.default_rng(rows)
    fields: dict[str, Any] = {
        "time": NOW,
        "request_id": request,
        "idempotency_key": None,
        "model_version": "release",
        "mode": Mode.PHOTOMETRIC,
        "inputs": rng.uniform(15, 25, (rows, 5)),
        "keys": None,
        "probabilities": rng.dirichlet([1, 1, 1], rows),
    }
    return LogEntry(**{**fields, **changes})


def count_rows(outcome: str) -> float:
    return REGISTRY.get_sample_value("skyclass_log_rows_total", {"outcome": outcome}) or 0.0


def queued_rows() -> float | None:
    return REGISTRY.get_sample_value("skyclass_log_queue_rows")


def logged(store: ObjectStore) -> int:
    return len(read_log(store, NOW - 2 * HOUR, NOW + HOUR, Mode.PHOTOMETRIC, "release").rows)


@pytest.mark.parametrize("mode", list(Mode))
def test_to_table_has_one_row_per_prediction(mode: Mode) -> None:
    width = len(INPUTS[mode])
    rng = np.random.default_rng(0)
    keys = np.array([[1, 2, 3], [0, 0, 0]], np.int32)
    first = make_entry(3, "a", mode=mode, inputs=rng.uniform(15, 25, (3, width)))
    second = make_entry(2, "b", mode=mode, inputs=rng.uniform(15, 25, (2, width)), keys=keys)
    second = second._replace(idempotency_key="key")
    table = to_table([first, second], "process", 7)

    table = parse_log(encode_file(table))
    assert table.schema == LOG_SCHEMA
    rows = table.to_pandas()
    assert rows["request_id"].tolist() == ["a", "a", "a", "b", "b"]
    assert rows["prediction_id"].tolist() == [f"process-{each}" for each in (7, 7, 7, 8, 8)]
    assert table["idempotency_key"].to_pylist() == [None, None, None, "key", "key"]
    assert rows["row"].tolist() == [0, 1, 2, 0, 1]
    assert set(rows["mode"]) == {mode}
    inputs = np.concatenate([first.inputs, second.inputs])
    np.testing.assert_array_equal(rows[list(INPUTS[mode])], inputs)
    assert rows["redshift"].isna().all() == (mode is Mode.PHOTOMETRIC)
    probabilities = np.concatenate([first.probabilities, second.probabilities])
    np.testing.assert_array_equal(rows[list(PROBABILITIES)], probabilities)
    assert rows["predicted"].tolist() == [CLASSES[at] for at in probabilities.argmax(axis=1)]
    assert table.select(KEY).slice(3).to_pylist() == [
        {"plate": 1, "mjd": 2, "fiber_id": 3},
        {"plate": None, "mjd": None, "fiber_id": None},
    ]
    assert all(table[name].slice(0, 3).null_count == 3 for name in KEY)


def test_entries_of_different_widths_and_releases_are_written_together() -> None:
    rng = np.random.default_rng(0)
    names = list(ALL_INPUTS[Mode.PHOTOMETRIC])
    wide = rng.uniform(15, 25, (2, len(names)))
    wide[0, names.index("u")] = wide[1, names.index("w1")] = np.nan
    outside = np.array([True, False])
    narrow, full = make_entry(1), make_entry(2, inputs=wide, out_of_domain=outside)
    rows = parse_log(encode_file(to_table([narrow, full], "process"))).to_pylist()
    assert [[row[name] for name in names] for row in rows] == [
        [*narrow.inputs[0].tolist(), *[None] * (len(names) - 5)],
        *([None if np.isnan(cell) else cell for cell in row] for row in wide.tolist()),
    ]
    assert [row["out_of_domain"] for row in rows] == [None, True, False]
    assert "out_of_domain" not in to_table([narrow], "process").column_names


def test_a_full_queue_drops_and_counts(store: ObjectStore) -> None:
    log = PredictionLogWriter(store, ServingSettings(log_queue_rows=10))
    dropped, written = count_rows("dropped"), count_rows("written")
    for rows in (6, 5, 4, 1):  # 5 and 1 do not fit
        log.append(make_entry(rows))
    assert (count_rows("dropped") - dropped, queued_rows()) == (6, 10)
    log.start()
    log.close()
    assert (count_rows("written") - written, queued_rows()) == (10, 0)
    assert logged(store) == 10
    log.append(make_entry(2))
    assert count_rows("dropped") - dropped == 8
    assert queued_rows() == 0


def test_rows_of_a_process_that_did_not_close_the_log_are_counted_as_lost(
    store: ObjectStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ServingSettings(log_waiting_file=tmp_path / "waiting")
    PredictionLogWriter(store, settings).append(make_entry(3))
    lost = count_rows("lost")
    log = PredictionLogWriter(store, settings)
    log.append(make_entry(2))
    log.start()
    assert count_rows("lost") - lost == 3
    assert "up to 3 rows of the prediction log are lost" in caplog.text
    log.close()

    log = PredictionLogWriter(store, settings)
    log.start()
    log.close()
    assert count_rows("lost") - lost == 3, "rows that were written are counted"


def test_rows_that_cannot_be_encoded_are_dropped_and_the_next_ones_are_written(
    store: ObjectStore,
) -> None:
    dropped = count_rows("dropped")
    log = PredictionLogWriter(store, ServingSettings(log_flush_rows=1, log_flush_seconds=60))
    log.start()
    log.append(make_entry(2, request="not a character: \ud800"))
    assert poll(lambda: count_rows("dropped") == dropped + 2, 30)
    log.append(make_entry(3))
    log.close()
    assert logged(store) == 3
    assert queued_rows() == 0


def test_unusable_file_for_the_number_of_waiting_rows_is_named(
    store: ObjectStore, tmp_path: Path
) -> None:
    settings = ServingSettings(log_waiting_file=tmp_path / "missing/waiting")
    with pytest.raises(ServingError, match=r"missing/waiting \(No such file or directory\): corr"):
        PredictionLogWriter(store, settings)


def test_rows_are_partitioned_by_their_hour(store: ObjectStore) -> None:
    log = PredictionLogWriter(store, ServingSettings())
    log.start()
    for hours in (1, 0):
        log.append(make_entry(2, f"{hours} h ago", time=NOW - hours * HOUR))
    log.close()
    keys = list(store.list_keys(store.settings.logs_bucket, ""))
    assert [key.rsplit("/", 1)[0] for key in keys] == [
        f"date={time:%Y-%m-%d}/hour={time:%H}" for time in (NOW - HOUR, NOW)
    ]
    assert logged(store) == 4


def test_close_respects_its_timeout(settings: Settings, unresponsive_url: str) -> None:
    unreachable = ObjectStore(settings.model_copy(update={"endpoint_url": unresponsive_url}))
    log = PredictionLogWriter(unreachable, ServingSettings(drain_seconds=1))
    dropped = count_rows("dropped")
    log.start()
    log.append(make_entry(3))
    start = time.monotonic()
    log.close()
    assert time.monotonic() - start < settings.s3_read_seconds, "it has waited for the store"
    assert count_rows("dropped") - dropped == 3


def test_write_that_ends_after_the_log_was_closed_ends_the_thread_without_an_error(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_closed, is_written, errors = threading.Event(), threading.Event(), []
    write = log_writer.write_batch

    def write_late(*arguments: Any) -> None:
        is_closed.wait(30)
        write(*arguments)
        is_written.set()

    monkeypatch.setattr(log_writer, "write_batch", write_late)
    monkeypatch.setattr(threading, "excepthook", lambda failed: errors.append(failed.exc_value))
    log = PredictionLogWriter(store, ServingSettings(drain_seconds=1))
    log.start()
    log.append(make_entry(3))
    log.close()
    assert not is_written.is_set()
    is_closed.set()
    assert is_written.wait(30)
    log.close()  # waits for the thread
    assert errors == []
    assert queued_rows() == 0
