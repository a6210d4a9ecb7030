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
        time: Unix time of its end.
        seconds: Its duration.
        is_ok: Whether the page was returned.
    """

    time: float
    seconds: float
    is_ok: bool


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
        start = time.monotonic()
        try:
            is_ok = http.request("GET", self._url + path).status == 200
        except urllib3.exceptions.HTTPError:
            is_ok = False
        self.visits.append(Visit(time.time(), time.monotonic() - start, is_ok))
