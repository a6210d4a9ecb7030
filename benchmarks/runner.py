"""Runs benchmarks, each in a process of its own, so that memory and imports do not mix."""

import multiprocessing
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.figures import Figure, print_figure
from benchmarks.history import HISTORY, append_run, find_revision, make_run
from benchmarks.usage import measure_usage

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
        revision, figures = find_revision(), []
        try:
            with measure_usage() as usage:
                for figure in run_benchmark(module):
                    figures.append(figure)
                    print_figure(figure)
        except BenchmarkError as error:
            errors.append(error)
        else:
            append_run(make_run(name, revision, figures, usage), history)
    return errors


def _send_figures(module: str, sender: Connection) -> None:
    for figure in import_module(module).measure_figures():
        sender.send(figure)
