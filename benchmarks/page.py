"""The page docs/performance.md, rendered from the last run of each benchmark."""

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.figures import Figure
from benchmarks.history import ROOT, Machine, Run

PAGE = ROOT / "docs/performance.md"
_HEAD = """# Performance

`make bench` measures these figures and writes this page; `make bench NAMES='endpoint scoring'`
measures some of them again. Each figure is compared with a named peer that is measured in the same
run, alternately. A ratio above 1 is better than the peer. Where no peer does the same work, the
target is the largest acceptable value. Other pages link here instead of repeating figures.

All runs are kept in [performance.jsonl](performance.jsonl), one JSON line per run of a benchmark.
"""
_CHART = """
## History

![Each figure that was measured more than once, over the revisions](performance.svg)

Ratios to the peer, or values where there is no peer. A dashed line is the target.
"""

_RUNS = """While other work uses cores, ratios hold, as both are measured alternately, but
everything takes longer than on a quiet machine.
"""


def render_page(runs: Sequence[Run], has_chart: bool) -> str:
    """Return the page in Markdown.

    Args:
        runs: The last run of each benchmark.
        has_chart: Whether any figure was measured more than once.
    """
    figures = [figure for run in runs for figure in run.figures]
    topics = dict.fromkeys(figure.topic for figure in figures)
    tables = (
        f"\n## {topic}\n\n{_render_table(each for each in figures if each.topic == topic)}"
        for topic in topics
    )
    return "".join((_HEAD, *tables, _CHART if has_chart else "", _render_runs(runs)))


def _render_table(figures: Iterable[Figure]) -> str:
    rows = (
        (
            figure.name,
            figure.describe_value(),
            figure.describe_ratio(),
            figure.describe_target(),
            figure.describe_outcome(),
        )
        for figure in figures
    )
    return _join_rows(("measured", "figure", "ratio to the peer", "target", "outcome"), rows)


def _render_runs(runs: Sequence[Run]) -> str:
    rows = (
        (
            f"`python -m benchmarks.{run.benchmark}`",
            f"{run.date:%Y-%m-%d %H:%M}",
            f"`{run.revision}`",
            "" if run.seconds is None else f"{run.seconds:,.0f} s",
            "" if run.other_cores is None else f"{run.other_cores:.1f}",
        )
        for run in runs
    )
    table = _join_rows(
        ("benchmark", "date (UTC)", "revision", "duration", "other load (cores)"), rows
    )
    return f"\n## Runs\n\n{_RUNS}\n{table}\n{''.join(_describe_machines(runs))}"


def _describe_machines(runs: Sequence[Run]) -> Iterator[str]:
    """Yield a line per machine, with the benchmarks that ran on it."""
    machines: list[Machine] = []
    for run in runs:
        if run.machine not in machines:
            machines.append(run.machine)
    for machine in machines:
        names = ", ".join(run.benchmark for run in runs if run.machine == machine)
        versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
        cpu = f" ({machine.cpu})" if machine.cpu else ""
        yield f"- {names}: {machine.cores} cores{cpu}; {versions or 'versions were not recorded'}\n"


def _join_rows(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (f"| {' | '.join(cells)} |\n" for cells in (heading, *rows))
    return f"{next(lines)}{'|---' * len(heading)}|\n{''.join(lines)}"
