"""The writer of the prediction log: never delays or fails a request."""

import logging
import socket
import threading
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from prometheus_client import Counter, Gauge

from skyclass.errors import StoreError
from skyclass.serving.settings import ServingSettings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import KEY, MEASUREMENTS, most_probable_classes
from skyclass.tables.prediction_log import LOG_SCHEMA, PROBABILITIES, write_log

logger = logging.getLogger(__name__)

_ROWS = Counter("skyclass_log_rows", "Rows of the prediction log, by outcome.", ["outcome"])
_WRITTEN, _DROPPED = _ROWS.labels(outcome="written"), _ROWS.labels(outcome="dropped")
_QUEUED = Gauge("skyclass_log_queue_rows", "Rows that wait to be written to the prediction log.")


class LogEntry(NamedTuple):
    """The prediction for one request; a tuple, because every request creates one.

    Attributes:
        time: Time of the prediction (UTC).
        request_id: Id of the request.
        model_version: Id of the release.
        mode: Mode of the release.
        inputs: Shape (n, len(INPUTS[mode])).
        keys: Plate, MJD and fibre, shape (n, 3), zeros for rows without a key; None when no row
            has one.
        probabilities: Shape (n, 3).
    """

    time: datetime
    request_id: str
    model_version: str
    mode: Mode
    inputs: npt.NDArray[np.float64]
    keys: npt.NDArray[np.int32] | None
    probabilities: npt.NDArray[np.float64]


class PredictionLogWriter:
    """A bounded queue of predictions, and the thread that writes them to the object store.

    An entry that does not fit into the queue is dropped and counted. While the object store is
    unreachable, entries stay in the queue. A write whose acknowledgement was lost is retried, so
    rows may be duplicated: readers deduplicate by (request id, row).
    """

    def __init__(self, store: ObjectStore, settings: ServingSettings) -> None:
        self._store = store
        self._settings = settings
        self._host = socket.gethostname()
        self._queue: deque[LogEntry] = deque()
        self._queued = 0  # rows in the queue
        self._pending = 0  # rows in the queue or with the thread
        self._written = 0
        self._dropped = 0
        self._store_failing = False
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def append(self, entry: LogEntry) -> None:
        """Queue an entry, or drop it when it does not fit; never blocks and never fails."""
        if not self._settings.log:
            return
        rows = len(entry.inputs)
        with self._lock:
            free = self._settings.log_queue_rows - self._pending
            if rows <= free and not self._closing.is_set():
                self._queue.append(entry)
                self._queued += rows
                self._add_pending(rows)
                if self._queued >= self._settings.log_flush_rows:
                    self._wake.set()
                return
        self._count_dropped(rows)

    def close(self) -> None:
        """Write what is queued, for at most `drain_seconds`; drop and count the rest."""
        with self._lock:
            self._closing.set()
        self._wake.set()
        self._thread.join(self._settings.drain_seconds)
        with self._lock:
            lost = self._pending
            self._add_pending(-lost)
        if lost:
            self._count_dropped(lost)
            logger.error("%d rows of the prediction log could not be written and are lost", lost)
        if self._written or self._dropped:
            logger.info(
                "the prediction log is closed: %d rows written, %d dropped",
                self._written,
                self._dropped,
            )

    def _run(self) -> None:
        tables: deque[pa.Table] = deque()
        while not self._closing.is_set():
            self._wake.wait(self._settings.log_flush_seconds)
            self._wake.clear()
            tables.extend(self._take())
            if not self._write(tables):
                self._closing.wait(self._settings.log_flush_seconds)
        tables.extend(self._take())
        self._write(tables)

    def _take(self) -> list[pa.Table]:
        """Empty the queue into one table per hour."""
        with self._lock:
            entries, self._queue, self._queued = self._queue, deque(), 0
        hours = groupby(
            entries, key=lambda entry: entry.time.replace(minute=0, second=0, microsecond=0)
        )
        return [to_table(list(each)) for _, each in hours]

    def _write(self, tables: deque[pa.Table]) -> bool:
        """Write tables, the oldest first, until one fails; return whether all were written."""
        while tables:
            try:
                # A table of one hour is one object: it is written entirely or not at all.
                write_log(self._store, tables[0], self._host)
            except StoreError as error:
                if not self._store_failing:
                    logger.warning("cannot write the prediction log, retrying: %s", error)
                self._store_failing = True
                return False
            self._store_failing = False
            rows = tables.popleft().num_rows
            _WRITTEN.inc(rows)
            with self._lock:
                self._written += rows
                self._add_pending(-rows)
        return True

    def _count_dropped(self, rows: int) -> None:
        _DROPPED.inc(rows)
        with self._lock:
            self._dropped += rows

    def _add_pending(self, rows: int) -> None:
        self._pending += rows
        _QUEUED.set(self._pending)


def to_table(entries: Sequence[LogEntry]) -> pa.Table:
    """Convert entries of one mode to rows of the prediction log: schema `LOG_SCHEMA`.

    It runs beside requests, so the work per row is left to libraries that release the GIL.
    """
    counts = [len(entry.inputs) for entry in entries]
    positions = pa.array(np.repeat(np.arange(len(entries)), counts))
    requests = pa.table(
        {
            "time": pa.array([entry.time for entry in entries], LOG_SCHEMA.field("time").type),
            "request_id": [entry.request_id for entry in entries],
            "model_version": [entry.model_version for entry in entries],
            "mode": [str(entry.mode) for entry in entries],
        }
    )
    keys = np.concatenate(
        [
            np.zeros((count, len(KEY)), np.int32) if entry.keys is None else entry.keys
            for entry, count in zip(entries, counts, strict=True)
        ]
    )
    inputs = np.concatenate([entry.inputs for entry in entries])
    probabilities = np.concatenate([entry.probabilities for entry in entries])
    nulls = pa.nulls(len(keys), pa.float64())  # photometric requests have no redshift
    columns = {
        **{name: requests[name].take(positions) for name in requests.column_names},
        "row": np.concatenate([np.arange(count, dtype=np.int32) for count in counts]),
        **{
            name: pa.array(values, mask=values == 0)
            for name, values in zip(KEY, keys.T, strict=True)
        },
        **dict.fromkeys(MEASUREMENTS, nulls),
        **dict(zip(INPUTS[entries[0].mode], inputs.T, strict=True)),
        "predicted": most_probable_classes(probabilities),
        **dict(zip(PROBABILITIES, probabilities.T.astype(np.float64), strict=True)),
    }
    return pa.table({name: columns[name] for name in LOG_SCHEMA.names}, schema=LOG_SCHEMA)
