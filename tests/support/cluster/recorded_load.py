"""Prediction requests from a pod inside the cluster, each row of which is recorded by its key.

Two callers use `skyclass.client`, which retries; two others send each request once, over its own
connection, and record when they failed.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from tests.support.cluster.chart import OBJECTS
from tests.support.cluster.kube import Shell
from tests.support.cluster.load import run_until_stopped

_ROWS = 20
"""Rows of a request."""

_SEND_REQUESTS = f"""
import json, os, sys, threading, time, urllib.request
from itertools import count
import pandas as pd
from skyclass.client import Client
from skyclass.errors import ServingError
from skyclass.survey.features import INPUTS, Mode, model_name
address, mode, values, stop = sys.argv[1], Mode(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4]
attempted, acknowledged, errors, failed_at, sent_once = [], [], [], [], []
def classify(caller):
    client = Client(address, mode)
    rows = pd.DataFrame([values] * {_ROWS}, columns=INPUTS[mode]).assign(
        plate=caller, fiber_id=range(1, {_ROWS} + 1)
    )
    for batch in count(1):
        if os.path.exists(stop):
            return
        attempted.append((caller, batch))
        try:
            client.classify(rows.assign(mjd=batch))
            acknowledged.append((caller, batch, time.time()))
        except ServingError as error:
            errors.append(str(error))
        time.sleep(0.2)
def send_once():
    url = f"{{address}}/v1/models/{{model_name(mode)}}:predict"
    body = json.dumps({{"instances": [values]}}).encode()
    request = urllib.request.Request(url, body, {{"Content-Type": "application/json"}})
    while not os.path.exists(stop):
        started = time.time()
        try:
            urllib.request.urlopen(request, timeout=30).read()
            sent_once.append(started)
        except OSError:
            failed_at.append(started)
        time.sleep(0.05)
threads = [threading.Thread(target=classify, args=(caller,)) for caller in (1, 2)]
threads += [threading.Thread(target=send_once) for _ in range(2)]
for thread in threads: thread.start()
open(stop + ".started", "w").close()
for thread in threads: thread.join()
print(json.dumps([attempted, acknowledged, errors, failed_at, len(sent_once)]))
"""


@dataclass
class RecordedLoad:
    """Outcome of the requests, complete when the block has ended.

    Attributes:
        attempted: Key `plate-mjd-fiber` of each row that the client sent.
        acknowledged: Time of the answer (seconds since the epoch) by the key of each row that the
            client received.
        errors: Errors of the client, after its retries.
        failed_at: Times at which requests without a retry began that failed.
        sent_once: Number of requests without a retry that succeeded.
    """

    attempted: set[str] = field(default_factory=set)
    acknowledged: dict[str, float] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    failed_at: list[float] = field(default_factory=list)
    sent_once: int = 0


@contextmanager
def record_load(shell: Shell, mode: str) -> Iterator[RecordedLoad]:
    """Send requests while the block runs.

    Args:
        shell: The pod that sends them.
        mode: Mode of the endpoint.
    """
    load, stop = RecordedLoad(), f"/tmp/{uuid4().hex}"  # noqa: S108 - there
    address, values = f"http://skyclass-{mode}-predictor", json.dumps(OBJECTS[mode][0])

    def send() -> None:
        output = shell.run_python(_SEND_REQUESTS, address, mode, values, stop, seconds=1200)
        attempted, acknowledged, load.errors, load.failed_at, load.sent_once = json.loads(output)
        load.attempted = {key for batch in attempted for key in _name_rows(*batch)}
        load.acknowledged = {
            key: answered for *batch, answered in acknowledged for key in _name_rows(*batch)
        }

    with run_until_stopped(shell, stop, send):
        yield load


def _name_rows(caller: int, batch: int) -> list[str]:
    return [f"{caller}-{batch}-{fiber}" for fiber in range(1, _ROWS + 1)]
