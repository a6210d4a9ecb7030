"""Requests without a pause, from a pod inside the cluster."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from tests.support.cluster.chart import OBJECTS
from tests.support.cluster.kube import Shell

# Half of the callers open a connection for each request; none of theirs is ever tried again. The
# others keep theirs, as a proxy does, and like one ask again when it was closed before they asked.
_ASK = """
import json, os, sys, threading, time, urllib3
url, stop = sys.argv[1:3]
threads, rows, row, pause = map(json.loads, sys.argv[3:])
body = json.dumps({"instances": [row] * rows})
http = urllib3.PoolManager(retries=False, timeout=30, maxsize=threads)
versions, failures = [], []
def request(headers):
    headers = {"Content-Type": "application/json", **headers}
    return http.request("POST", url, body=body, headers=headers)
def ask(keeps):
    while not os.path.exists(stop):
        try:
            try:
                answer = request({} if keeps else {"Connection": "close"})
            except urllib3.exceptions.ProtocolError:
                if not keeps:
                    raise
                answer = request({"Connection": "close"})
            if answer.status == 200:
                versions.append(answer.json()["model_version"])
            else:
                failures.append(f"{answer.status} {answer.data[:200]!r}")
        except urllib3.exceptions.HTTPError as error:
            failures.append(repr(error))
        time.sleep(pause)
callers = [threading.Thread(target=ask, args=(number % 2 == 1,)) for number in range(threads)]
open(stop + ".begun", "w").close()
for caller in callers: caller.start()
for caller in callers: caller.join()
print(json.dumps({"versions": versions, "failures": failures}))
"""
_WAIT = """
import os, sys, time
while not os.path.exists(sys.argv[1] + ".begun"): time.sleep(0.05)
"""


@dataclass
class Load:
    """What became of the requests, known when all have ended.

    Attributes:
        versions: Which release gave each answer, in order.
        failures: What went wrong, for each request that was not answered with 200.
    """

    versions: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=lambda: ["the load did not end"])


@contextmanager
def steady(
    shell: Shell, mode: str, callers: int = 2, rows: int = 1, pause: float = 0.01
) -> Iterator[Load]:
    """Ask while the block runs, and require an answer to everything.

    Args:
        shell: The pod that asks.
        mode: Which endpoint.
        callers: How many ask at the same time.
        rows: Objects in each request.
        pause: Seconds between an answer and the next request of a caller.
    """
    load, service, stop = Load(), f"skyclass-{mode}", f"/tmp/{uuid4().hex}"  # noqa: S108 - there
    address = f"http://{service}-predictor/v1/models/{service}:predict"
    numbers = (json.dumps(each) for each in (callers, rows, OBJECTS[mode][0], pause))

    def ask() -> None:
        said = json.loads(shell.python(_ASK, address, stop, *numbers, seconds=1200))
        load.versions, load.failures = said["versions"], said["failures"]

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        shell.python(_WAIT, stop)
        yield load
    finally:
        shell.python("import sys; open(sys.argv[1], 'w')", stop)
        thread.join()
    assert load.failures == []
    assert load.versions
