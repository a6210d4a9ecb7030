"""Requests without a pause, from a pod inside the cluster."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.chart import OBJECTS
from tests.cluster.kube import Shell

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


class Load:
    """Callers in a pod.

    Attributes:
        versions: Which release gave each answer, in order, once the load has ended.
        failures: What went wrong, for each request that was not answered with 200.
    """

    _count = 0

    def __init__(
        self, shell: Shell, mode: str, callers: int = 2, rows: int = 1, pause: float = 0.01
    ) -> None:
        """Prepare so many callers, each asking for so many objects at once."""
        service = f"skyclass-{mode}"
        Load._count += 1
        self._stop = f"/tmp/stop-{Load._count}"  # noqa: S108 - in the pod
        self._shell = shell
        self._arguments = (
            f"http://{service}-predictor/v1/models/{service}:predict",
            self._stop,
            *(json.dumps(each) for each in (callers, rows, OBJECTS[mode][0], pause)),
        )
        self.versions: list[str] = []
        self.failures = ["it did not end"]
        self._thread = threading.Thread(target=self._run)

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Ask while the block runs."""
        self._thread.start()
        try:
            self._shell.python(_WAIT, self._stop)
            yield self
        finally:
            self._shell.python("import sys; open(sys.argv[1], 'w')", self._stop)
            self._thread.join()

    def _run(self) -> None:
        said = json.loads(self._shell.python(_ASK, *self._arguments, seconds=1200))
        self.versions, self.failures = said["versions"], said["failures"]


@contextmanager
def steady(
    shell: Shell, mode: str, callers: int = 2, rows: int = 1, pause: float = 0.01
) -> Iterator[Load]:
    """Ask all the time, and require an answer to everything."""
    load = Load(shell, mode, callers, rows, pause)
    with load.running():
        yield load
    assert load.failures == []
    assert load.versions
