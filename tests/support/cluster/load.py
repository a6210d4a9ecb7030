"""Continuous prediction requests from a pod inside the cluster."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from tests.support.cluster.chart import OBJECTS
from tests.support.cluster.kube import Shell

# Half of the callers open a connection per request and never retry. The others reuse their
# connection, as a proxy does, and retry once if the server closed it before the request was sent.
_SEND_REQUESTS = """
import json, os, sys, threading, time, urllib3
url, stop = sys.argv[1:3]
threads, rows, row, interval, least, common, ca_file = map(json.loads, sys.argv[3:])
body = json.dumps({"instances": [row] * rows})
http = urllib3.PoolManager(retries=False, timeout=30, maxsize=threads, ca_certs=ca_file)
versions, failures = [], []
def request(headers):
    headers = {"Content-Type": "application/json", **common, **headers}
    return http.request("POST", url, body=body, headers=headers)
def send_requests(keep_alive):
    while not os.path.exists(stop) or len(versions) + len(failures) < least:
        try:
            try:
                response = request({} if keep_alive else {"Connection": "close"})
            except urllib3.exceptions.ProtocolError:
                if not keep_alive:
                    raise
                response = request({"Connection": "close"})
            if response.status == 200:
                versions.append(response.json()["model_version"])
            else:
                failures.append(f"{response.status} {response.data[:200]!r}")
        except urllib3.exceptions.HTTPError as error:
            failures.append(repr(error))
        time.sleep(interval)
callers = [
    threading.Thread(target=send_requests, args=(number % 2 == 1,)) for number in range(threads)
]
open(stop + ".started", "w").close()
for caller in callers: caller.start()
for caller in callers: caller.join()
print(json.dumps({"versions": versions, "failures": failures}))
"""
_WAIT_UNTIL_STARTED = """
import os, sys, time
while not os.path.exists(sys.argv[1] + ".started"): time.sleep(0.05)
"""


@contextmanager
def run_until_stopped(shell: Shell, stop: str, send: Callable[[], None]) -> Iterator[None]:
    """Run a program in a pod while the block runs.

    Args:
        shell: The pod.
        stop: File in the pod whose creation ends the program. The program creates the file of this
            name with `.started` when its requests begin.
        send: Runs the program until it ends, and evaluates its output.
    """
    thread = threading.Thread(target=send)
    thread.start()
    try:
        shell.run_python(_WAIT_UNTIL_STARTED, stop)
        yield
    finally:
        shell.run_python("import sys; open(sys.argv[1], 'w')", stop)
        thread.join()


@dataclass
class Load:
    """Outcome of the requests, complete when the block has ended.

    Attributes:
        versions: Release id in each response, in order.
        failures: Status or exception of each request without a response of status 200.
    """

    versions: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=lambda: ["the load did not end"])


@contextmanager
def generate_load(
    shell: Shell,
    mode: str,
    callers: int = 2,
    rows: int = 1,
    interval_seconds: float = 0.01,
    least: int = 1,
    token: str = "",
    ca_file: str | None = None,
) -> Iterator[Load]:
    """Send requests while the block runs, and require that each succeeds.

    Args:
        shell: The pod that sends them.
        mode: Mode of the endpoint.
        callers: Number of concurrent callers.
        rows: Objects per request.
        interval_seconds: Time between a response and the next request of a caller.
        least: Number of requests that are sent, even if the block ends before.
        token: Bearer token; empty for none.
        ca_file: File in the pod with the CA certificate of an endpoint with TLS; None without TLS.
    """
    load, service, stop = Load(), f"skyclass-{mode}", f"/tmp/{uuid4().hex}"  # noqa: S108 - there
    host = f"https://{service}-predictor:8443" if ca_file else f"http://{service}-predictor"
    address = f"{host}/v1/models/{service}:predict"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    options = (callers, rows, OBJECTS[mode][0], interval_seconds, least, headers, ca_file)
    arguments = (json.dumps(each) for each in options)

    def send() -> None:
        output = shell.run_python(_SEND_REQUESTS, address, stop, *arguments, seconds=1200)
        outcome = json.loads(output)
        load.versions, load.failures = outcome["versions"], outcome["failures"]

    with run_until_stopped(shell, stop, send):
        yield load
    assert load.failures == []
