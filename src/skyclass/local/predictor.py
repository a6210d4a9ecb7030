"""A predictor in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from skyclass.client import Client
from skyclass.errors import ServingError
from skyclass.local.ports import find_free_ports
from skyclass.polling import poll
from skyclass.settings import Settings
from skyclass.sockets import LOOPBACK
from skyclass.survey.features import Mode

_READINESS_TIMEOUT_SECONDS = 60
_ENVIRONMENT = {
    "SKYCLASS_SERVING_FOLLOW_SECONDS": "1",
    "SKYCLASS_SERVING_LOG_FLUSH_SECONDS": "1",
}
"""Shorter intervals than in production: a person waits for the result."""


@contextmanager
def run_predictor(settings: Settings, mode: Mode) -> Iterator[Client]:
    """Start a predictor that serves the champion, and stop it on exit.

    Args:
        settings: Settings with the home folder, where predictor.log is written.
        mode: Mode of the champion.

    Yields:
        A client of the predictor, which is ready.

    Raises:
        ServingError: The predictor exited, or was not ready in time; see its log.
    """
    log = settings.home / "predictor.log"
    (port,) = find_free_ports(1)
    with log.open("w") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-m", "skyclass", "serve", "--mode", str(mode), "--port", str(port)],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # on Ctrl-C, this context manager stops the process
            env={**os.environ, **_ENVIRONMENT},
        )
    client = Client(f"http://{LOOPBACK}:{port}", mode)

    def is_ready() -> bool:
        if process.poll() is not None:
            raise ServingError(f"the predictor exited with status {process.returncode}: see {log}")
        return client.is_ready()

    try:
        if not poll(is_ready, _READINESS_TIMEOUT_SECONDS):
            raise ServingError(
                f"the predictor timed out after {_READINESS_TIMEOUT_SECONDS} s: see {log}"
            )
        yield client
    finally:
        process.terminate()
        process.wait()
