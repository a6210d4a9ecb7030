"""Visits of the monitor page, as a browser and Prometheus do."""

import time
from dataclasses import dataclass
from threading import Event

import urllib3

from skyclass.http import make_pool

PATHS = ("/", "/metrics")


@dataclass(frozen=True)
class Visit:
    """A request to the monitor page.

    Attributes:
        path: What was asked for.
        start: Unix time.
        end: Unix time.
        error: What went wrong; empty if the page was returned.
    """

    path: str
    start: float
    end: float
    error: str


class Visitor:
    """Visits the page in regular intervals.

    Attributes:
        visits: Visits so far.
    """

    def __init__(self, url: str, seconds: float, stop: Event) -> None:
        self.visits: list[Visit] = []
        self._url, self._seconds, self._stop = url, seconds, stop

    def run(self) -> None:
        """Visit the pages until the end."""
        with make_pool(connect_seconds=5, read_seconds=60) as http:
            while not self._stop.wait(self._seconds):
                for path in PATHS:
                    self._visit(http, path)

    def _visit(self, http: urllib3.PoolManager, path: str) -> None:
        start = time.time()
        try:
            status = http.request("GET", self._url + path).status
            error = "" if status == 200 else f"HTTP {status}"
        except urllib3.exceptions.HTTPError as failure:
            error = type(failure).__name__
        self.visits.append(Visit(path, start, time.time(), error))
