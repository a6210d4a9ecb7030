"""A local port that is forwarded to a pod or Service."""

import re
import subprocess
import threading
from collections.abc import Mapping


class Tunnel:
    """Forwards a local port with `kubectl port-forward`.

    kubectl ends as soon as one connection through it is broken, which a busy machine does now and
    then. It is started again on the same port, and clients connect again.

    Attributes:
        url: URL of the local port.
    """

    def __init__(
        self, namespace: str, target: str, port: int, environment: Mapping[str, str]
    ) -> None:
        self._command = ["kubectl", "-n", namespace, "port-forward", target]
        self._environment = environment
        self._port = port
        self._lock = threading.Lock()
        self._is_closed = False
        local = self._start("")
        self.url = f"http://127.0.0.1:{local}"
        self._thread = threading.Thread(target=self._restart, args=(local,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the tunnel."""
        with self._lock:
            self._is_closed = True
            self._process.kill()
        self._thread.join()

    def _start(self, local: str) -> str:
        """Start kubectl, and return the local port when it listens."""
        self._process = subprocess.Popen(
            [*self._command, f"{local}:{self._port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert found, line
        return found[1]

    def _restart(self, local: str) -> None:
        while True:
            self._process.communicate()  # until it ends; a full pipe would block it
            with self._lock:
                if self._is_closed:
                    return
                self._start(local)
