"""The memory that a model takes: `python -m skyclass.registry.memory FILE FEATURES`.

It is measured in a process of its own, because an allocator reuses what another model has freed.
"""

import os
import sys
from pathlib import Path

import numpy as np

from skyclass.registry.models import load_engine

_ROWS = 1_000


def measure(model: Path, features: int) -> float:
    """Return the growth of this process when it loads a model and predicts rows (MB).

    Raises:
        OSError: The system has no /proc, as macOS.
    """
    before = _get_resident_bytes()
    engine = load_engine(model)  # a name keeps it loaded
    engine(np.ones((_ROWS, features), np.float32))
    return (_get_resident_bytes() - before) / 1e6


def _get_resident_bytes() -> int:
    # Not ru_maxrss: it begins at the peak of the process that started this one.
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.stdout.write(f"{measure(Path(sys.argv[1]), int(sys.argv[2])):.1f}\n")
