import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import runner
from benchmarks.__main__ import BENCHMARKS
from benchmarks.figures import Figure
from benchmarks.history import ROOT, read_history
from benchmarks.runner import run_all
from tests.support import benchmark, broken_benchmark

TOY, BROKEN = benchmark.__name__, broken_benchmark.__name__


def test_a_benchmark_that_fails_is_one_error_and_the_others_go_on(tmp_path: Path) -> None:
    (error,) = run_all({"broken": BROKEN, "toy": TOY}, tmp_path / "history")
    assert str(error) == f"benchmark failed: python -m {BROKEN} (exit code 1); run it alone"
    (run,) = read_history(tmp_path / "history")
    assert (run.benchmark, run.figures) == ("toy", benchmark.FIGURES)


def test_the_revision_is_that_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    revision = "before"

    def commit_meanwhile(module: str) -> Iterator[Figure]:
        nonlocal revision
        revision = "after"
        yield from benchmark.FIGURES

    monkeypatch.setattr(runner, "run_benchmark", commit_meanwhile)
    monkeypatch.setattr(runner, "find_revision", lambda: revision)
    assert run_all({"toy": TOY}, tmp_path / "history") == []
    (run,) = read_history(tmp_path / "history")
    assert run.revision == "before"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_listed_benchmark_measures_figures(name: str) -> None:
    source = ast.parse((ROOT / f"benchmarks/{name}.py").read_text())
    functions = {node.name for node in source.body if isinstance(node, ast.FunctionDef)}
    assert "measure_figures" in functions
