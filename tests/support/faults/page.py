"""The page docs/reliability.md, rendered from the last complete run of the fault tests."""

from collections.abc import Sequence

from tests.support.faults.catalogue import FAULTS, Fault
from tests.support.faults.records import ROOT, Record

PAGE = ROOT / "docs/reliability.md"
_HEAD = """# Reliability

`make test-faults` injects each of these faults, checks that it happened, and compares what was
acknowledged with what is there afterwards: every acknowledged operation exactly once, and nothing
else. Nobody helps the system to recover: jobs run again as their schedule would start them. This
table is written from the last complete run, whose records are in
[reliability.jsonl](reliability.jsonl).

| fault | injected | operations | acknowledged | lost | counted as lost | recovery, s |
|---|--:|--:|--:|--:|--:|--:|
"""
_LEGEND = """
A fault counts as injected when a test has seen it: an exit status, a cut connection, a line of an
error. Operations are rows, releases, verdicts, promotions or answers, as the catalogue in
`tests/support/faults/catalogue.py` says; the run fails if a fault had fewer than the catalogue
demands. The faults of the object store hit an ingest, a publication, a scoring job, a drift job and
a maintenance job, each through a proxy in front of an S3 server; some hit the predictor and the
monitor page as well. A limit of the size of files (`RLIMIT_FSIZE`) stands for a full disk.

Recovery is the longest time from the end of the fault until the system worked again: the next
answer, or the end of the next run of the job. Rows counted as lost waited in the memory of a killed
predictor for the next write of the prediction log; they are at most those of one flush interval.
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
