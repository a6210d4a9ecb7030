"""What a benchmark and the other work on the machine use while it runs."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil


@dataclass
class Usage:
    """Filled when the measurement ends.

    Attributes:
        seconds: Wall clock.
        other_cores: Mean number of cores that processes used which this one did not start.
    """

    seconds: float = 0
    other_cores: float = 0


@contextmanager
def measure_usage() -> Iterator[Usage]:
    """Measure the block. Processes that it starts must have ended at its end."""
    usage = Usage()
    started, busy, own = time.monotonic(), _count_busy_seconds(), _count_own_seconds()
    yield usage
    usage.seconds = time.monotonic() - started
    others = _count_busy_seconds() - busy - (_count_own_seconds() - own)
    usage.other_cores = max(others, 0) / usage.seconds


def _count_busy_seconds() -> float:
    """Return the CPU time of all processes since the machine started."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def _count_own_seconds() -> float:
    """Return the CPU time of this process and of those of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
