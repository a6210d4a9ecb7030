"""The writer of the prediction log: never delays or fails a request."""

import logging
import socket
import threading
import uuid
from collections import deque
from itertools import count

from prometheus_client import Counter, Gauge

from skyclass.errors import StoreError
from skyclass.serving.log_entry import LogEntry, to_table
from skyclass.serving.settings import ServingSettings
from skyclass.serving.waiting_rows import WaitingRows
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.log.write import LogBatch, encode_log, write_batch

logger = logging.getLogger(__name__)

_ROWS = Counter("skyclass_log_rows", "Rows of the prediction log, by outcome.", ["outcome"])
_WRITTEN, _DROPPED = _ROWS.labels(outcome="written"), _ROWS.labels(outcome="dropped")
_LOST = _ROWS.labels(outcome="lost")
_QUEUED = Gauge("skyclass_log_queue_rows", "Rows that wait to be written to the prediction log.")


class PredictionLogWriter:
    """A bounded queue of predictions, and the thread that writes them to the object store.

    An entry that does not fit into the queue is dropped and counted. While the object store is
    unreachable, rows wait as encoded batches: a write whose acknowledgement was lost is repeated
    with the same key and bytes, so each row is stored once.

    Rows that waited when a process was killed are lost, and counted by the next process.
    """

    def __init__(self, store: ObjectStore, settings: ServingSettings) -> None:
        self._store = store
        self._settings = settings
        self._process_id = uuid.uuid4().hex  # names are unique although a pod may restart
        self._host = socket.gethostname()
        self._batch_numbers = count()
        self._encoded = 0  # entries that were taken from the queue
        self._queue: deque[LogEntry] = deque()
        self._queued = 0  # rows in the queue
        self._waiting = WaitingRows(settings.log_waiting_file)  # in the queue or with the thread
        self._written = 0
        self._dropped = 0
        self._store_failing = False
        _QUEUED.set_function(self._waiting.get)  # read by a scrape, not set by each request
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Start the thread, and count the rows that a killed process has left."""
        if self._waiting.left:
            _LOST.inc(self._waiting.left)
            logger.error(
                "the previous process was killed: up to %d rows of the prediction log are lost",
                self._waiting.left,
            )
        self._thread.start()

    def append(self, entry: LogEntry) -> None:
        """Queue an entry, or drop it when it does not fit; never blocks and never fails."""
        if not self._settings.log:
            return
        rows = len(entry.inputs)
        with self._lock:
            waiting = self._waiting.get()
            free = self._settings.log_queue_rows - waiting
            if rows <= free and not self._closing.is_set():
                self._queue.append(entry)
                self._queued += rows
                self._waiting.set(waiting + rows)
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
            lost = self._waiting.get()
            self._waiting.set(0)
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
        batches: deque[LogBatch] = deque()
        while not self._closing.is_set():
            self._wake.wait(self._settings.log_flush_seconds)
            self._wake.clear()
            batches.extend(self._encode())
            if not self._write(batches):
                self._closing.wait(self._settings.log_flush_seconds)
        batches.extend(self._encode())
        self._write(batches)

    def _encode(self) -> list[LogBatch]:
        """Empty the queue into one batch per hour; drop and count what cannot be encoded."""
        with self._lock:
            entries, self._queue, self._queued = self._queue, deque(), 0
        if not entries:
            return []
        number, self._encoded = self._encoded, self._encoded + len(entries)
        name = f"{self._host}-{self._process_id}-{next(self._batch_numbers)}"
        try:
            return encode_log(to_table(entries, self._process_id, number), name)
        except (ArithmeticError, TypeError, ValueError):  # the thread must not end with a bug
            rows = sum(len(entry.inputs) for entry in entries)
            logger.exception("%d rows of the prediction log cannot be encoded: report a bug", rows)
        self._release(rows)
        self._count_dropped(rows)
        return []

    def _write(self, batches: deque[LogBatch]) -> bool:
        """Write batches, the oldest first, until one fails; return whether all were written."""
        while batches:
            try:
                write_batch(self._store, batches[0])
            except StoreError as error:
                if not self._store_failing:
                    logger.warning("cannot write the prediction log, retrying: %s", error)
                self._store_failing = True
                return False
            self._store_failing = False
            rows = batches.popleft().rows
            _WRITTEN.inc(rows)
            with self._lock:
                self._written += rows
            self._release(rows)
        return True

    def _release(self, rows: int) -> None:
        """Count rows that no longer wait; none wait after `close`, which gives up what is left."""
        with self._lock:
            self._waiting.set(max(self._waiting.get() - rows, 0))

    def _count_dropped(self, rows: int) -> None:
        _DROPPED.inc(rows)
        with self._lock:
            self._dropped += rows
