"""Every prediction is logged or counted as dropped, also after SIGTERM and outages."""

import http.client
import json
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from skyclass.local.s3_server import Access, EmbeddedS3
from skyclass.registry.releases import Release
from skyclass.survey.features import INPUTS, Mode
from skyclass.tables.log.read import read_log
from tests.support.fault_proxy import Effect, Fault, run_fault_proxy
from tests.support.faults.history import History
from tests.support.predictor import ServerProcess, Site, eventually, publish, serving, simulated

MODE = Mode.SPECTROSCOPIC
V1 = "/v1/models/skyclass-spectroscopic:predict"
CLOSED = re.compile(r"the prediction log is closed: (\d+) rows written, (\d+) dropped")
HOUR = timedelta(hours=1)
NEVER = 3600
CLIENTS = 4
OUTAGE_SECONDS = 60
"""Time limit of the outage, which ends after a number of requests."""
OUTAGE_REQUESTS = 500
REQUEST_INTERVAL_SECONDS = 0.01
WRITTEN = 'skyclass_log_rows_total{outcome="written"}'
INSTANCES = simulated(50)[list(INPUTS[MODE])].to_numpy().tolist()

Predictions = dict[tuple[str, int], str]
"""The predicted class of each row, by request id and row number."""


class Client(threading.Thread):
    """Sends requests of one to three rows, or as many copies, until it is stopped or the server is.

    Attributes:
        predictions: The predictions received so far.
        requests: Number of successful requests so far.
        max_latency: Duration of the slowest of them in seconds.
        stopped: Ends the thread when it is set.
    """

    def __init__(
        self,
        server: ServerProcess,
        request_prefix: str,
        interval_seconds: float = 0,
        copies: int = 1,
    ) -> None:
        super().__init__()
        self.predictions: Predictions = {}
        self.requests = 0
        self.max_latency = 0.0
        self.stopped = threading.Event()
        self._address = urlsplit(server.url).netloc
        self._request_prefix = request_prefix
        self._interval_seconds = interval_seconds
        self._copies = copies
        self._instances = simulated(200)[list(INPUTS[MODE])].to_numpy().tolist()

    def run(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=20)
        with suppress(http.client.HTTPException, ConnectionError):
            for number in count():
                if self.stopped.wait(self._interval_seconds):
                    return
                request_id, start = f"{self._request_prefix}-{number}", number % 190
                rows = self._instances[start : start + number % 3 + 1] * self._copies
                started = time.monotonic()
                headers = {"X-Request-Id": request_id}
                connection.request("POST", V1, json.dumps({"instances": rows}), headers)
                response = connection.getresponse()
                body = json.loads(response.read())
                assert response.status == 200, body
                self.max_latency = max(self.max_latency, time.monotonic() - started)
                for row, prediction in enumerate(body["predictions"]):
                    self.predictions[request_id, row] = prediction["class"]
                self.requests += 1


def read_predictions(site: Site, release: Release) -> list[tuple[tuple[str, int], str]]:
    """Return request id, row number and class of each row of the log, duplicates included."""
    now = datetime.now(UTC)
    rows = read_log(site.store, now - HOUR, now + HOUR, MODE, release.id).rows
    keys = zip(rows["request_id"], rows["row"], strict=True)
    return list(zip(keys, rows["predicted"], strict=True))


def name_row(key: tuple[str, int]) -> str:
    """Return the key of a row in the history."""
    return f"{key[0]}-{key[1]}"


def check_log(site: Site, release: Release, predictions: Predictions, server_log: str) -> int:
    """Check that each prediction is logged once or counted as dropped.

    Returns:
        How many were dropped.
    """
    logged = read_predictions(site, release)
    assert max(Counter(key for key, _ in logged).values()) == 1
    assert dict(logged).items() <= predictions.items()
    written, dropped = map(int, CLOSED.findall(server_log)[0])
    assert (written, dropped) == (len(logged), len(predictions) - len(logged))
    return dropped


@pytest.mark.parametrize(
    ("requests", "queue_rows", "copies"),
    [(10_000, 50_000, 1), (1_000, 200, 1), (100, 200_000, 200)],
    ids=["a queue with space", "a full queue", "requests in threads"],
)
def test_after_sigterm_under_load_each_prediction_is_logged_or_counted_as_dropped(
    s3: Access, tmp_path: Path, requests: int, queue_rows: int, copies: int
) -> None:
    site = Site.make(s3, tmp_path / "home")
    release = publish(site, tmp_path / "files", MODE, seed=1)
    address = f"s3://{site.settings.models_bucket}/{release.prefix}"
    settings = {"log_flush_rows": 1500, "log_queue_rows": queue_rows}
    with serving(site, MODE, address, tmp_path / "log", **settings) as server:
        clients = [Client(server, str(number), copies=copies) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        eventually(lambda: sum(client.requests for client in clients) >= requests, 120)
        assert server.stop() == 0
        for client in clients:
            client.join()
        predictions: Predictions = {}
        for client in clients:
            predictions |= client.predictions
        assert len(predictions) > requests
        dropped = check_log(site, release, predictions, server.log)
        assert (dropped > 0) == (queue_rows < requests)
        assert "Traceback" not in server.log


@pytest.mark.fault("store-down-during-upload")
def test_the_log_is_complete_after_an_outage(tmp_path: Path, history: History) -> None:
    with ExitStack() as stack:
        with EmbeddedS3(tmp_path / "s3") as access:
            site = Site.make(access, tmp_path / "home")
            release = publish(site, tmp_path / "files", MODE, seed=1)
            site.registry.download(release, tmp_path / "release")
            log = tmp_path / "log"
            server = stack.enter_context(
                serving(site, MODE, tmp_path / "release", log, log_flush_seconds=0.5)
            )
            client = Client(server, "client", REQUEST_INTERVAL_SECONDS)
            client.start()
            stack.callback(client.stopped.set)
            eventually(lambda: server.metric(WRITTEN) > 0, 20)
        requests = client.requests
        eventually(lambda: "cannot write the prediction log" in server.log, OUTAGE_SECONDS)
        eventually(lambda: client.requests - requests > OUTAGE_REQUESTS, OUTAGE_SECONDS)
        history.fire("the predictor cannot write the prediction log")
        queued = server.metric("skyclass_log_queue_rows")
        assert queued > OUTAGE_REQUESTS

        port = int(access.endpoint_url.rsplit(":", 1)[1])
        with EmbeddedS3(tmp_path / "s3", port):
            with history.recovery():
                eventually(lambda: server.metric(WRITTEN) > queued, 30)
            client.stopped.set()
            client.join()
            assert server.stop() == 0
            assert check_log(site, release, client.predictions, server.log) == 0
            assert client.max_latency < 5, "a request was blocked by the log"
            history.acknowledge(*map(name_row, client.predictions))
            history.find(name_row(key) for key, _ in read_predictions(site, release))


@pytest.mark.fault("lost-acknowledgement")
def test_a_write_whose_acknowledgement_is_lost_is_repeated_without_duplicates(
    s3: Access, tmp_path: Path, history: History
) -> None:
    lossy = Fault(Effect.LOST, "PUT", "date=", times=3)
    with log_through_proxy(s3, tmp_path, lossy, history) as (
        server,
        direct,
        release,
    ):
        server.predict(INSTANCES, request_id="request")
        history.acknowledge(*(name_row(("request", row)) for row in range(len(INSTANCES))))
        with history.recovery():
            eventually(lambda: server.metric(WRITTEN) == len(INSTANCES), 30)
        assert server.stop() == 0
        assert "cannot write the prediction log" in server.log
    history.find(name_row(key) for key, _ in read_predictions(direct, release))
    assert len(history.evidence) == 3
    assert len(list(direct.store.list_keys(direct.settings.logs_bucket, ""))) == 1


@pytest.mark.fault("store-slow")
def test_slow_store_delays_no_answer(s3: Access, tmp_path: Path, history: History) -> None:
    slow = Fault(Effect.DELAYED, "PUT", "date=", times=2)
    with log_through_proxy(s3, tmp_path, slow, history) as (
        server,
        direct,
        release,
    ):
        for number in range(4):  # the first is written first, for seconds; then the others are
            server.predict(INSTANCES, request_id=f"request-{number}")
            for row in range(len(INSTANCES)):
                history.acknowledge(name_row((f"request-{number}", row)))
        is_waiting = server.metric(WRITTEN) < 4 * len(INSTANCES)
        assert is_waiting, "the answers have waited for the log"
        with history.recovery():
            eventually(lambda: server.metric(WRITTEN) == 4 * len(INSTANCES), 30)
        assert server.stop() == 0
    history.find(name_row(key) for key, _ in read_predictions(direct, release))


@contextmanager
def log_through_proxy(
    s3: Access, folder: Path, fault: Fault, history: History
) -> Iterator[tuple[ServerProcess, Site, Release]]:
    """Run a predictor whose connections to the store have a fault, and record the evidence."""
    direct = Site.make(s3, folder / "home")
    release = publish(direct, folder / "files", MODE, seed=1)
    direct.registry.download(release, folder / "release")
    with run_fault_proxy(s3.endpoint_url) as proxy:
        proxy.inject(fault)
        environment = {
            **direct.environment,
            "AWS_ENDPOINT_URL": proxy.get_url(),
            "SKYCLASS_S3_RETRIES": "0",  # each fault is an error of the log writer
        }
        settings = {"log_flush_rows": len(INSTANCES), "log_flush_seconds": 0.2}
        site = replace(direct, environment=environment)
        with serving(site, MODE, folder / "release", folder / "log", **settings) as server:
            yield server, direct, release
        for evidence in proxy.list_evidence():
            history.fire(evidence)


@pytest.mark.fault("predictor-killed")
def test_sigkill_loses_only_the_rows_that_wait_for_the_next_flush_and_they_are_counted(
    s3: Access, tmp_path: Path, history: History
) -> None:
    site = Site.make(s3, tmp_path / "home")
    release = publish(site, tmp_path / "files", MODE, seed=1)
    site.registry.download(release, tmp_path / "release")
    settings = {
        "log_flush_rows": 50,
        "log_flush_seconds": NEVER,
        "log_waiting_file": tmp_path / "waiting",
    }

    def predict(request_id: str, rows: int) -> list[str]:
        keys = [f"{request_id}-{row}" for row in range(rows)]
        history.attempt(*keys)
        body, headers = {"instances": INSTANCES[:rows]}, {"X-Request-Id": request_id}
        assert server.request("POST", V1, body, headers).status == 200
        history.acknowledge(*keys)
        return keys

    with serving(site, MODE, tmp_path / "release", tmp_path / "log", **settings) as server:
        for flush in (1, 2):
            predict(f"flush {flush}", 50)
            eventually(lambda flush=flush: server.metric(WRITTEN) == 50 * flush, 30)
        waiting = predict("waiting", 10)
        assert server.metric("skyclass_log_queue_rows") == 10
        server.process.kill()
        assert server.process.wait() == -signal.SIGKILL
        history.fire("the predictor ended with SIGKILL")
    with ExitStack() as stack:
        with history.recovery():
            server = stack.enter_context(
                serving(site, MODE, tmp_path / "release", tmp_path / "log", **settings)
            )
            predict("after", 50)
        assert server.metric('skyclass_log_rows_total{outcome="lost"}') == len(waiting)
        history.count_losses(*waiting)
        eventually(lambda: server.metric(WRITTEN) == 50, 30)
    history.find(f"{request}-{row}" for (request, row), _ in read_predictions(site, release))
