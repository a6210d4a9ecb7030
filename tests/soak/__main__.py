"""Runs a soak and writes its figures to docs/reliability.md: `python -m tests.soak`."""

import argparse
import logging
import signal
import sys
import tempfile
from pathlib import Path

from tests.soak.page import write_page
from tests.soak.record import write_record
from tests.soak.run import run_soak
from tests.soak.schedule import plan


def main() -> int:
    """Run a soak, print its figures, and return 1 if it has failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="duration of the measurement")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops the processes, as Ctrl-C does
    with tempfile.TemporaryDirectory() as folder:
        record = run_soak(plan(given.minutes), Path(folder))
    write_record(record)
    write_page()
    for comparison in record.comparisons:
        sys.stdout.write(f"{comparison.describe()}\n")
    for miss in record.misses:
        sys.stderr.write(f"error: {miss}\n")
    return 1 if record.misses else 0


if __name__ == "__main__":
    sys.exit(main())
