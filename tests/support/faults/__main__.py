"""Writes docs/reliability.md and its records: `python -m tests.support.faults FOLDER`."""

import sys
from pathlib import Path

from tests.support.faults.page import PAGE, IncompleteRunError, render_page, replace_faults
from tests.support.faults.records import read_records, write_history


def main() -> None:
    """Collect the records of a run, or fail with one line if it is incomplete."""
    records = read_records(Path(sys.argv[1]))
    try:
        faults = render_page(records)
    except IncompleteRunError as error:
        sys.exit(f"error: {error}: run `make test-faults` as a whole, with a cluster")
    write_history(records)
    PAGE.write_text(replace_faults(PAGE.read_text() if PAGE.exists() else "", faults))


if __name__ == "__main__":
    main()
