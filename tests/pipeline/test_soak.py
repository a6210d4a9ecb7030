"""A short soak, with every part of a long one."""

import os
from pathlib import Path

import psutil
import pytest

from tests.soak.run import run_soak
from tests.soak.schedule import Schedule

SHORT = Schedule(
    seconds=20,
    promotion_seconds=600,
    fault_seconds=8,
    window_seconds=20,
    warm_up_seconds=5,
    flush_seconds=1,
    sample_seconds=0.5,
)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_is_lost_in_a_short_soak(tmp_path: Path) -> None:
    record = run_soak(SHORT, tmp_path)
    # In some seconds, on a machine with other work, memory and latency have not settled.
    assert [miss for miss in record.misses if not miss.startswith("grew: ")] == []
    acknowledged = {each.kind: each.acknowledged for each in record.operations}
    assert acknowledged["prediction"] >= 2 * SHORT.seconds * SHORT.requests_per_second
    assert acknowledged["promotion"] == 2
    assert acknowledged["verdict"] >= 1
    assert list_processes(tmp_path) == []


def list_processes(home: Path) -> list[str]:
    """Return the names of running processes that use a home folder."""
    return [
        process.name()
        for process in psutil.process_iter(["environ", "cmdline"])
        if process.pid != os.getpid()
        and str(home) in f"{process.info['environ']} {process.info['cmdline']}"
    ]
