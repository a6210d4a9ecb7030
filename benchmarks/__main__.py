"""Runs benchmarks and writes docs/performance.md: `python -m benchmarks [NAME…]`."""

import argparse
import sys

from benchmarks.history import find_latest, read_history
from benchmarks.page import PAGE, render_page
from benchmarks.plot import CHART, collect_series, draw_history
from benchmarks.runner import run_all
from skyclass.training.reports.plots import to_svg

BENCHMARKS = ("endpoint", "startup", "log", "data", "formats", "scoring", "parts", "training")
"""Modules with `measure_figures`, in the order of the page."""


def write_page() -> None:
    """Write the page and its chart from the history."""
    runs = read_history()
    latest = find_latest(runs, BENCHMARKS)
    series = collect_series(runs, latest)
    PAGE.write_text(render_page(latest, has_chart=bool(series)))
    if series:
        revisions = list(dict.fromkeys(run.revision for run in runs))
        CHART.write_text(to_svg(draw_history(series, revisions)))


def main() -> int:
    """Run the named benchmarks, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--render", action="store_true", help="write the page, measure nothing")
    given = parser.parse_args()
    if unknown := set(given.names) - set(BENCHMARKS):
        parser.error(
            f"unknown benchmark: {', '.join(sorted(unknown))}; use {', '.join(BENCHMARKS)}"
        )
    names = () if given.render else given.names or BENCHMARKS
    errors = run_all({name: f"benchmarks.{name}" for name in names})
    write_page()
    for error in errors:
        sys.stderr.write(f"error: {error}\n")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
