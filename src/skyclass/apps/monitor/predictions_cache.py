"""Caches what is computed from the predictions table, which takes seconds if the table is large."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from skyclass.settings import Settings
from skyclass.tables.predictions import PredictionsTable

T = TypeVar("T")


class PredictionsCache(Generic[T]):
    """The results of one function for each release; thread-safe.

    A result is computed again only when the version of the table has changed.
    """

    def __init__(self, settings: Settings, compute: Callable[[Settings, str], T]) -> None:
        self._settings = settings
        self._compute = compute
        self._results: dict[str, tuple[int | None, T]] = {}
        self._lock = threading.Lock()

    def read(self, release: str) -> T:
        """Return the result for a release.

        Raises:
            StoreError: The table cannot be read.
        """
        with self._lock:
            version = PredictionsTable(self._settings).newest_version()
            cached = self._results.get(release)
            if cached is None or cached[0] != version:
                cached = (version, self._compute(self._settings, release))
                self._results[release] = cached
            return cached[1]
