"""Runs benchmarks and writes docs/performance.md: `python -m benchmarks [NAME…]`."""

import argparse
import multiprocessing
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.figures import Figure, print_figure
from benchmarks.history import HISTORY, append_run, find_latest, make_run, read_history
from benchmarks.page import PAGE, render_page
from benchmarks.plot import CHART, collect_series, draw_history
from benchmarks.usage import measure_usage
from skyclass.training.reports.plots import to_svg

BENCHMARKS = ("endpoint", "startup", "log", "data", "formats", "scoring", "parts", "training")
"""Modules with `measure_figures`, in the order of the page."""

_PROCESSES = multiprocessing.get_context("spawn")


class BenchmarkError(Exception):
    """A benchmark failed."""


def run_benchmark(module: str) -> Iterator[Figure]:
    """Run the benchmark of a module in a process of its own and yield its figures.

    Raises:
        BenchmarkError: Its process failed; its traceback is on standard error.
    """
    receiver, sender = _PROCESSES.Pipe(duplex=False)
    child = _PROCESSES.Process(target=_send_figures, args=(module, sender))
    child.start()
    sender.close()
    try:
        while True:
            yield receiver.recv()
    except EOFError:
        child.join()
    if child.exitcode:
        raise BenchmarkError(
            f"benchmark failed: python -m {module} (exit code {child.exitcode}); run it alone"
        )


def run_all(modules: Mapping[str, str], history: Path = HISTORY) -> list[BenchmarkError]:
    """Run benchmarks one after the other and append their runs to the history.

    Args:
        modules: Module of each benchmark by its name.
        history: File to append to.

    Returns:
        The errors of those that failed; they are not in the history.
    """
    errors = []
    for number, (name, module) in enumerate(modules.items(), start=1):
        sys.stdout.write(f"{name} ({number} of {len(modules)})\n")
        figures = []
        try:
            with measure_usage() as usage:
                for figure in run_benchmark(module):
                    figures.append(figure)
                    print_figure(figure)
        except BenchmarkError as error:
            errors.append(error)
        else:
            append_run(make_run(name, figures, usage), history)
    return errors


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


def _send_figures(module: str, sender: Connection) -> None:
    for figure in import_module(module).measure_figures():
        sender.send(figure)


if __name__ == "__main__":
    sys.exit(main())
