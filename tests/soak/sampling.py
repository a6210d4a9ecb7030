"""Memory, open files and threads of the processes of a soak, and the load of the machine."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event

import psutil

_MEGABYTE = 2**20


@dataclass(frozen=True)
class Sample:
    """A process at one time.

    Attributes:
        time: Unix time.
        process: Its name.
        memory: Resident memory in MB.
        files: Open files and sockets.
        threads: Threads.
    """

    time: float
    process: str
    memory: float
    files: int
    threads: int


@dataclass(frozen=True)
class MachineSample:
    """The machine since the previous sample.

    Attributes:
        time: Unix time.
        busy_cores: Mean number of cores that all processes used.
        stolen_cores: Mean number of cores that the hypervisor withheld.
        load_average: Load average of the last minute.
    """

    time: float
    busy_cores: float
    stolen_cores: float
    load_average: float


class Sampler:
    """Takes samples in regular intervals, for which `run` is called in a thread of its own.

    Attributes:
        samples: Samples of processes so far.
        machine: Samples of the machine so far.
    """

    def __init__(
        self, pids: Mapping[str, Callable[[], int | None]], seconds: float, stop: Event
    ) -> None:
        """Prepare a sampler.

        Args:
            pids: For each process, a function that returns its id, or None if it does not run.
            seconds: Interval.
            stop: Ends the sampling.
        """
        self.samples: list[Sample] = []
        self.machine: list[MachineSample] = []
        self._pids = pids
        self._seconds = seconds
        self._stop = stop

    def run(self) -> None:
        """Sample until the end."""
        previous = psutil.cpu_times_percent()  # the next call returns the shares since this one
        del previous
        while not self._stop.wait(self._seconds):
            now = time.time()
            self.machine.append(_sample_machine(now))
            for name, find_pid in self._pids.items():
                if sample := _sample_process(now, name, find_pid()):
                    self.samples.append(sample)


def _sample_machine(now: float) -> MachineSample:
    shares, cores = psutil.cpu_times_percent(), (os.cpu_count() or 1) / 100
    busy = shares.user + shares.nice + shares.system
    return MachineSample(now, busy * cores, shares.steal * cores, os.getloadavg()[0])


def _sample_process(now: float, name: str, pid: int | None) -> Sample | None:
    """Return a sample, or None if the process has ended."""
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return Sample(
                now,
                name,
                process.memory_info().rss / _MEGABYTE,
                process.num_fds(),
                process.num_threads(),
            )
    except psutil.NoSuchProcess:
        return None
