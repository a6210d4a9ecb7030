"""The processes of a soak, each in a session of its own with a log file."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

STOP_SECONDS = 30


class Part:
    """A skyclass server that runs during the whole soak, and may be killed and started again."""

    def __init__(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "skyclass", *arguments]
        self._environment = dict(environment)
        self._log = folder / f"{name.replace(' ', '-')}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Id of the running process; None if there is none."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def start(self) -> None:
        """Start the process, without waiting until it is ready."""
        self._process = start_process(self._command, self._environment, self._log)

    def kill(self) -> int:
        """Send SIGKILL, and return the exit status."""
        assert self._process
        self._process.kill()
        return self._process.wait()

    def stop(self) -> None:
        """Send SIGTERM, and SIGKILL if that does not end it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


def start_process(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start a process that a Ctrl-C at the terminal does not reach; its log is appended to."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def is_connected(process: subprocess.Popen[bytes]) -> bool:
    """Return whether a process has an open TCP connection."""
    try:
        connections = psutil.Process(process.pid).connections("tcp")
    except psutil.NoSuchProcess:
        return False
    return any(each.status == psutil.CONN_ESTABLISHED for each in connections)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Send SIGKILL to a process that leads its session, and to all processes that it started."""
    os.killpg(process.pid, signal.SIGKILL)
