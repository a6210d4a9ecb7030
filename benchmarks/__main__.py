"""Runs benchmarks and writes docs/performance.md: `python -m benchmarks [NAME…]`."""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from multiprocessing.connection import Connection

from benchmarks.figures import Figure, print_figure
from benchmarks.history import append_run, find_latest, make_run, read_history
from benchmarks.page import PAGE, render_page
from benchmarks.plot import CHART, collect_series, draw_history
from skyclass.training.reports.plots import to_svg

BENCHMARKS = ("endpoint", "startup", "log", "data", "formats", "scoring", "parts", "training")
"""Modules with `measure_figures`, in the order of the page."""

_PROCESSES = multiprocessing.get_context("spawn")


class BenchmarkError(Exception):
    """A benchmark failed."""


def run_benchmark(name: str) -> Iterator[Figure]:
    """Run a benchmark in a process of its own and yield its figures.

    Raises:
        BenchmarkError: Its process failed; its traceback is on standard error.
    """
    receiver, sender = _PROCESSES.Pipe(duplex=False)
    child = _PROCESSES.Process(target=_send_figures, args=(name, sender))
    child.start()
    sender.close()
    try:
        while True:
            yield receiver.recv()
    except EOFError:
        child.join()
    if child.exitcode:
        raise BenchmarkError(
            f"benchmark {name} failed: exit code {child.exitcode};"
            f" run python -m benchmarks.{name} alone"
        )


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
    errors = [] if given.render else _run_all(given.names or BENCHMARKS)
    write_page()
    for error in errors:
        sys.stderr.write(f"error: {error}\n")
    return 1 if errors else 0


def _run_all(names: Sequence[str]) -> list[BenchmarkError]:
    """Run benchmarks one after the other; return the errors of those that failed."""
    errors = []
    for number, name in enumerate(names, start=1):
        sys.stdout.write(f"{name} ({number} of {len(names)})\n")
        started = time.monotonic()
        figures = []
        try:
            for figure in run_benchmark(name):
                figures.append(figure)
                print_figure(figure)
        except BenchmarkError as error:
            errors.append(error)
            continue
        append_run(make_run(name, figures, time.monotonic() - started))
    return errors


def _send_figures(name: str, sender: Connection) -> None:
    for figure in import_module(f"benchmarks.{name}").measure_figures():
        sender.send(figure)


if __name__ == "__main__":
    sys.exit(main())
