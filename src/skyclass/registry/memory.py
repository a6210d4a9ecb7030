"""The memory that a model takes: `python -m skyclass.registry.memory FILE FEATURES`.

It is measured in a process of its own, because an allocator reuses what another model has freed.
"""

import os
import re
import sys
from pathlib import Path

import numpy as np

from skyclass.registry.models import load_engine

ROWS = 10_000
"""Rows that are predicted: the largest request that a predictor accepts by default."""


def measure(model: Path, features: int) -> int:
    """Return by how much this process grows to load a model and predict with it (bytes).

    It is the peak: half of what ONNX Runtime needs to load a forest is freed afterwards.

    Args:
        model: The model file.
        features: Number of its features.

    Raises:
        OSError: The system has no /proc, as macOS.
    """
    before = _get_resident_bytes()
    load_engine(model)(np.ones((ROWS, features), np.float32))
    return _get_peak_bytes() - before


def _get_resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _get_peak_bytes() -> int:
    # Not ru_maxrss: it begins at the peak of the process that started this one.
    (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.M)
    return int(kilobytes) * 1024


if __name__ == "__main__":
    sys.stdout.write(f"{measure(Path(sys.argv[1]), int(sys.argv[2]))}\n")
