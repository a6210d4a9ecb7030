"""The prediction log counts every row that it loses, also on SIGTERM and during outages."""

import http.client
import json
import re
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from skyclass.local.s3_server import Access, EmbeddedS3
from skyclass.registry.releases import Release
from skyclass.survey.features import INPUTS, Mode
from skyclass.tables.prediction_log import read_log
from tests.support.predictor import ServerProcess, Site, eventually, publish, serving, simulated

MODE = Mode.SPECTROSCOPIC
V1 = "/v1/models/skyclass-spectroscopic:predict"
CLOSED = re.compile(r"the prediction log is closed: (\d+) rows written, (\d+) dropped")
HOUR = timedelta(hours=1)
CALLERS = 4
OUTAGE_SECONDS = 30
PACE_SECONDS = 0.01

Rows = dict[tuple[str, int], str]
"""The class of each row, by request id and row number."""


class Caller(threading.Thread):
    """Sends requests of one to three rows until it is stopped or the server closes."""

    def __init__(self, server: ServerProcess, name: str, pace: float = 0) -> None:
        super().__init__()
        self.predicted: Rows = {}
        self.requests = 0
        self.slowest = 0.0
        self.stopped = threading.Event()
        self._address = urlsplit(server.url).netloc
        self._name = name
        self._pace = pace
        self._instances = simulated(200)[list(INPUTS[MODE])].to_numpy().tolist()

    def run(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=20)
        with suppress(http.client.HTTPException, ConnectionError):
            for number in count():
                if self.stopped.wait(self._pace):
                    return
                name, start = f"{self._name}-{number}", number % 190
                rows = self._instances[start : start + number % 3 + 1]
                started = time.monotonic()
                headers = {"X-Request-Id": name}
                connection.request("POST", V1, json.dumps({"instances": rows}), headers)
                response = connection.getresponse()
                answer = json.loads(response.read())
                assert response.status == 200, answer
                self.slowest = max(self.slowest, time.monotonic() - started)
                for row, prediction in enumerate(answer["predictions"]):
                    self.predicted[name, row] = prediction["class"]
                self.requests += 1


def found(site: Site, release: Release) -> list[tuple[tuple[str, int], str]]:
    """Return the rows of the log, duplicates included."""
    now = datetime.now(UTC)
    rows = read_log(site.store, now - HOUR, now + HOUR, MODE, release.id).rows
    keys = zip(rows["request_id"], rows["row"], strict=True)
    return list(zip(keys, rows["predicted"], strict=True))


def check(site: Site, release: Release, predicted: Rows, log: str) -> int:
    """Check that each predicted row is logged once or counted as dropped; return the latter."""
    rows = found(site, release)
    assert max(Counter(key for key, _ in rows).values()) == 1
    assert dict(rows).items() <= predicted.items()
    written, dropped = map(int, CLOSED.findall(log)[0])
    assert (written, dropped) == (len(rows), len(predicted) - len(rows))
    return dropped


@pytest.mark.parametrize(
    ("requests", "queue"), [(10_000, 50_000), (1_000, 200)], ids=["room for all", "a full queue"]
)
def test_sigterm_under_load_loses_no_uncounted_row(
    s3: Access, tmp_path: Path, requests: int, queue: int
) -> None:
    site = Site.make(s3, tmp_path / "home")
    release = publish(site, tmp_path / "files", MODE, seed=1)
    address = f"s3://{site.settings.models_bucket}/{release.prefix}"
    settings = {"log_flush_rows": 1500, "log_queue_rows": queue}
    with serving(site, MODE, address, tmp_path / "log", **settings) as server:
        callers = [Caller(server, str(number)) for number in range(CALLERS)]
        for caller in callers:
            caller.start()
        eventually(lambda: sum(caller.requests for caller in callers) >= requests, 120)
        assert server.stop() == 0
        for caller in callers:
            caller.join()
        predicted: Rows = {}
        for caller in callers:
            predicted |= caller.predicted
        assert len(predicted) > requests
        dropped = check(site, release, predicted, server.log)
        assert (dropped > 0) == (queue < requests)
        assert "Traceback" not in server.log


def test_the_log_is_complete_after_an_outage(tmp_path: Path) -> None:
    with ExitStack() as stack:
        with EmbeddedS3(tmp_path / "s3") as access:
            site = Site.make(access, tmp_path / "home")
            release = publish(site, tmp_path / "files", MODE, seed=1)
            site.registry.download(release, tmp_path / "release")
            log = tmp_path / "log"
            server = stack.enter_context(
                serving(site, MODE, tmp_path / "release", log, log_flush_seconds=0.5)
            )
            caller = Caller(server, "caller", PACE_SECONDS)
            caller.start()
            stack.callback(caller.stopped.set)
            written = 'skyclass_log_rows_total{outcome="written"}'
            eventually(lambda: server.metric(written) > 0, 20)
        stopped = time.monotonic()
        before = caller.requests
        eventually(lambda: time.monotonic() - stopped > OUTAGE_SECONDS, OUTAGE_SECONDS + 1)
        assert "cannot write the prediction log" in server.log, "the outage had no effect"
        assert caller.requests - before > OUTAGE_SECONDS
        waiting = server.metric("skyclass_log_queue_rows")
        assert waiting > OUTAGE_SECONDS

        port = int(access.endpoint_url.rsplit(":", 1)[1])
        with EmbeddedS3(tmp_path / "s3", port):
            eventually(lambda: server.metric(written) > waiting, 30)
            caller.stopped.set()
            caller.join()
            assert server.stop() == 0
            assert check(site, release, caller.predicted, server.log) == 0
            assert caller.slowest < 5, "a request waited for the log"
