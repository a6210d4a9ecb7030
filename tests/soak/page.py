"""The section of docs/reliability.md about the soak, and its chart."""

from collections.abc import Iterable, Sequence

from skyclass.training.reports.plots import to_svg
from tests.soak.evaluation import TOLERANCE
from tests.soak.plot import CHART, draw_soak
from tests.soak.record import Record, read_record
from tests.support.faults.page import PAGE, SOAK_HEADING

_INTRODUCTION = """
`make soak MINUTES=60` runs an object store, two predictors and the monitor page on one machine:

- **Load:** constant, with V1, V2 and gRPC requests of 1, 10 and 50 rows to both predictors.
- **Each minute, instead of each day:** new observations are ingested and scored, the window is
  evaluated for drift and accuracy, and the data are maintained.
- **Every few minutes:** a release is trained and promoted, and both predictors load it; a fault is
  injected.

One predictor is killed and restarted by a fault. The figures are those of the other one and of the
monitor page, which run all the time.
"""
_TENTHS = f"""
A figure of the last tenth may exceed that of the first by {TOLERANCE:.0%}. The object store has no
target, because it grows with the data, and neither have threads, because pools grow up to their
limit. Memory and files are medians of samples; latencies are percentiles of all requests, each
measured from the time at which the request was due. The other predictor was started again in
between, and has the same requests and releases at the same time: if the latency grows and its ratio
to that of the other predictor does not, the machine has become slower.
"""
_HISTORY = """
The soak fails unless each acknowledged operation took effect exactly once, and nothing else was
written. Predictions counted as lost were answered less than a flush interval before their predictor
was killed.
"""
_RECOVERY = """
Recovery is the time from the end of the fault until both predictors have written their logs again,
the killed predictor is ready, or the killed job has succeeded in a later window.
"""


def write_page() -> None:
    """Write the section and the chart from the record, and keep the rest of the page."""
    record = read_record()
    if record is None:
        return
    CHART.write_text(to_svg(draw_soak(record)))
    text = PAGE.read_text() if PAGE.exists() else "# Reliability\n"
    PAGE.write_text(replace_section(text, render_section(record)))


def replace_section(page: str, section: str) -> str:
    """Return a page with this section at its end, in place of an earlier one."""
    return f"{page.partition(SOAK_HEADING)[0].rstrip()}\n{SOAK_HEADING}{section}"


def render_section(record: Record) -> str:
    """Return the section in Markdown, without its heading."""
    parts = (
        _INTRODUCTION,
        _describe_run(record),
        _render_comparisons(record),
        _TENTHS,
        "![Memory, open files and latency over the soak](soak.svg)",
        _render_operations(record),
        _HISTORY,
        _render_faults(record),
        _RECOVERY,
    )
    return "\n" + "\n\n".join(part.strip() for part in parts) + "\n"


def _describe_run(record: Record) -> str:
    schedule, machine = record.schedule, record.machine
    outcome = "passed" if not record.misses else "failed"
    cpu = f" ({machine.cpu})" if machine.cpu else ""
    jobs = ", ".join(f"`{name}` {times}" for name, times in record.jobs.items())
    lines = [
        f"The last run {outcome}. It ended at {record.date:%Y-%m-%d %H:%M} UTC, after "
        f"{schedule.seconds / 60:.3g} minutes with {2 * schedule.requests_per_second:g} requests a "
        f"second, at revision `{record.revision}`, on {machine.cores} cores{cpu}, of which other "
        f"work used {record.other_cores:.1f}. Successful jobs: {jobs}.",
        *(f"- {miss}" for miss in record.misses),
    ]
    return "\n".join(lines) + "\n"


def _render_comparisons(record: Record) -> str:
    rows = (
        (
            each.name,
            f"{each.first:,.4g} {each.unit}",
            f"{each.last:,.4g} {each.unit}",
            f"{each.growth:+.1%}",
            "" if not each.has_target else "met" if each.is_met else "missed",
        )
        for each in record.comparisons
    )
    return _render_table(("measured", "first tenth", "last tenth", "growth", "target"), rows)


def _render_operations(record: Record) -> str:
    rows = (
        (
            f"{each.kind}s",
            f"{each.attempted:,}",
            f"{each.acknowledged:,}",
            f"{each.counted_losses:,}",
        )
        for each in record.operations
    )
    return _render_table(("operations", "attempted", "acknowledged", "counted as lost"), rows)


def _render_faults(record: Record) -> str:
    rows = ((each.title, str(each.times), f"{each.recovery_seconds:.1f}") for each in record.faults)
    return _render_table(("fault", "injected", "longest recovery, s"), rows)


def _render_table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (f"| {' | '.join(cells)} |\n" for cells in (heading, *rows))
    return f"{next(lines)}|---{'|--:' * (len(heading) - 1)}|\n{''.join(lines)}"
