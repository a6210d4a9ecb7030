"""The page docs/reliability.md, rendered from the last complete run of the fault tests."""

from collections.abc import Sequence

from tests.support.faults.catalogue import FAULTS, Fault
from tests.support.faults.records import ROOT, Record

PAGE = ROOT / "docs/reliability.md"
_HEAD = """# Reliability

Which faults skyclass survives, and how long it takes to recover. The records of the last runs are
in [reliability.jsonl](reliability.jsonl) and [soak.json](soak.json).

## Faults

`make test-faults` injects each of these faults. It fails unless the fault happened, each
acknowledged operation took effect exactly once, and nothing else was written. Nothing is repaired
by hand: jobs run again as their schedule would start them.

- **injected**: faults that a test has observed, by an exit status, a cut connection or an error
- **operations**: attempted rows, releases, verdicts, promotions, predictions or runs; the
  [catalogue](../tests/support/faults/catalogue.py) states which, and how many at least
- **acknowledged**: operations that were reported as done
- **lost**: acknowledged operations without effect; the run fails if there is one
- **counted as lost**: rows of the prediction log that a killed predictor
  [counts as lost](endpoint.md#prediction-log), at most those of one flush interval
- **recovery**: longest time from the end of the fault to the next prediction, or to the end of the
  next run of the job

| fault | injected | operations | acknowledged | lost | counted as lost | recovery, s |
|---|--:|--:|--:|--:|--:|--:|
"""
_LEGEND = """
Faults of the object store are injected into ingest, publication, scoring, drift and maintenance,
and some into the predictor and the monitor page, by a proxy in front of an S3 server. A full disk
is simulated by a limit on the size of files (`RLIMIT_FSIZE`).
"""

SOAK_HEADING = "\n## Soak\n"
"""Begins the section that `make soak` writes; what precedes it is written by `make test-faults`."""


class IncompleteRunError(Exception):
    """Some faults were not injected, or with fewer operations than declared."""


def render_page(records: Sequence[Record]) -> str:
    """Return the page in Markdown.

    Raises:
        IncompleteRunError: If faults of the catalogue have too few operations.
    """
    too_few = [
        f"{name} ({operations} of {fault.least_operations} {fault.operation})"
        for name, fault in FAULTS.items()
        if (operations := sum(each.attempted for each in records if each.fault == name))
        < fault.least_operations
    ]
    if too_few:
        raise IncompleteRunError(f"too few operations: {', '.join(too_few)}")
    rows = (
        _render_row(fault, [each for each in records if each.fault == name])
        for name, fault in FAULTS.items()
    )
    return "".join((_HEAD, *rows, _LEGEND))


def _render_row(fault: Fault, records: Sequence[Record]) -> str:
    place = " (cluster)" if fault.needs_cluster else ""
    counts = (
        sum(record.injected for record in records),
        sum(record.attempted for record in records),
        sum(record.acknowledged for record in records),
        0,  # a test with a lost operation fails, and the run with it
        sum(record.counted_losses for record in records),
    )
    recovery = max(record.recovery_seconds for record in records)
    cells = (f"{fault.title}{place}", *(f"{count:,}" for count in counts), f"{recovery:.1f}")
    return f"| {' | '.join(cells)} |\n"


def replace_faults(page: str, faults: str) -> str:
    """Return a page with another part about faults, and its section about the soak, if any."""
    _, heading, soak = page.partition(SOAK_HEADING)
    return faults + heading + soak
