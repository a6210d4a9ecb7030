"""Keeps every answer for monitoring, without a request ever waiting for it."""

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
from skyclass.survey.observation import CLASSES, KEY, MEASUREMENTS
from skyclass.tables.prediction_log import LOG_SCHEMA, PROBABILITIES, write_log

logger = logging.getLogger(__name__)

_ROWS = Counter(
    "skyclass_log_rows", "Rows of the prediction log, by what became of them.", ["outcome"]
)
_WRITTEN, _DROPPED = _ROWS.labels(outcome="written"), _ROWS.labels(outcome="dropped")
_WAITING = Gauge("skyclass_log_queue_rows", "Rows that wait to be written to the prediction log.")


class Answered(NamedTuple):
    """One answered request, as it is kept; a tuple, as one is made for every request.

    Attributes:
        time: When it was answered (UTC).
        request_id: Names the request.
        model_version: Id of the release that answered.
        mode: The release's mode.
        inputs: Shape (n, len(INPUTS[mode])).
        keys: Plate, MJD and fibre, shape (n, 3), zeros where the caller gave none.
        probabilities: Shape (n, 3).
    """

    time: datetime
    request_id: str
    model_version: str
    mode: Mode
    inputs: npt.NDArray[np.float64]
    keys: npt.NDArray[np.int32] | None
    probabilities: npt.NDArray[np.float64]


class PredictionLog:
    """A bounded queue of answers and the thread that writes them to the object store.

    A full queue drops what is offered and counts it. While the object store fails, rows wait in
    the same bounds. A write whose acknowledgement was lost is done again: readers know a row by
    (request id, row).
    """

    def __init__(self, store: ObjectStore, settings: ServingSettings) -> None:
        """Prepare the log; nothing is written before `start`."""
        self._store = store
        self._settings = settings
        self._writer = socket.gethostname()
        self._queue: deque[Answered] = deque()
        self._queued = 0  # rows in the queue
        self._rows = 0  # rows in the queue or with the writer
        self._written = 0
        self._dropped = 0
        self._failing = False
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def offer(self, answered: Answered) -> None:
        """Keep an answer if there is room; never waits and never fails."""
        if not self._settings.log:
            return
        rows = len(answered.inputs)
        with self._lock:
            room = self._settings.log_queue_rows - self._rows
            if rows <= room and not self._closing.is_set():
                self._queue.append(answered)
                self._queued += rows
                self._add(rows)
                if self._queued >= self._settings.log_flush_rows:
                    self._wake.set()
                return
        self._drop(rows)

    def close(self) -> None:
        """Write what waits, for as long as settings allow; the rest is dropped and counted."""
        with self._lock:
            self._closing.set()
        self._wake.set()
        self._thread.join(self._settings.drain_seconds)
        with self._lock:
            left = self._rows
            self._add(-left)
        if left:
            self._drop(left)
            logger.error("%d rows of the prediction log could not be written and are lost", left)
        if self._written or self._dropped:
            logger.info(
                "the prediction log is closed: %d rows written, %d dropped",
                self._written,
                self._dropped,
            )

    def _run(self) -> None:
        waiting: deque[pa.Table] = deque()
        while not self._closing.is_set():
            self._wake.wait(self._settings.log_flush_seconds)
            self._wake.clear()
            waiting.extend(self._take())
            if not self._write(waiting):
                self._closing.wait(self._settings.log_flush_seconds)
        waiting.extend(self._take())
        self._write(waiting)

    def _take(self) -> list[pa.Table]:
        """Empty the queue into one table for each hour that occurs in it."""
        with self._lock:
            taken, self._queue, self._queued = self._queue, deque(), 0
        hours = groupby(
            taken, key=lambda answered: answered.time.replace(minute=0, second=0, microsecond=0)
        )
        return [as_table(list(answers)) for _, answers in hours]

    def _write(self, waiting: deque[pa.Table]) -> bool:
        """Write tables, the oldest first, until the object store fails."""
        while waiting:
            try:
                # One hour is one object, so a failure leaves all of the table or nothing.
                write_log(self._store, waiting[0], self._writer)
            except StoreError as error:
                if not self._failing:
                    logger.warning("the prediction log waits: %s", error)
                self._failing = True
                return False
            self._failing = False
            rows = waiting.popleft().num_rows
            _WRITTEN.inc(rows)
            with self._lock:
                self._written += rows
                self._add(-rows)
        return True

    def _drop(self, rows: int) -> None:
        _DROPPED.inc(rows)
        with self._lock:
            self._dropped += rows

    def _add(self, rows: int) -> None:
        self._rows += rows
        _WAITING.set(self._rows)


def as_table(answers: Sequence[Answered]) -> pa.Table:
    """Turn answers into rows of the prediction log: schema `LOG_SCHEMA`.

    Everything that is long is done by libraries that let go of the interpreter's lock meanwhile:
    requests are answered in the same process.
    """
    counts = [len(answered.inputs) for answered in answers]
    request = pa.array(np.repeat(np.arange(len(answers)), counts))
    each_request = pa.table(
        {
            "time": pa.array([a.time for a in answers], LOG_SCHEMA.field("time").type),
            "request_id": [answered.request_id for answered in answers],
            "model_version": [answered.model_version for answered in answers],
            "mode": [str(answered.mode) for answered in answers],
        }
    )
    keys = np.concatenate(
        [
            np.zeros((count, len(KEY)), np.int32) if answered.keys is None else answered.keys
            for answered, count in zip(answers, counts, strict=True)
        ]
    )
    inputs = np.concatenate([answered.inputs for answered in answers])
    probabilities = np.concatenate([answered.probabilities for answered in answers])
    nothing = pa.nulls(len(keys), pa.float64())  # photometric requests have no redshift
    columns = {
        **{name: each_request[name].take(request) for name in each_request.column_names},
        "row": np.concatenate([np.arange(count, dtype=np.int32) for count in counts]),
        **{
            name: pa.array(values, mask=values == 0)
            for name, values in zip(KEY, keys.T, strict=True)
        },
        **dict.fromkeys(MEASUREMENTS, nothing),
        **dict(zip(INPUTS[answers[0].mode], inputs.T, strict=True)),
        "predicted": pa.array(CLASSES).take(pa.array(probabilities.argmax(axis=1))),
        **dict(zip(PROBABILITIES, probabilities.T.astype(np.float64), strict=True)),
    }
    return pa.table({name: columns[name] for name in LOG_SCHEMA.names}, schema=LOG_SCHEMA)
