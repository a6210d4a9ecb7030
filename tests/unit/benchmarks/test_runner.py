import ast
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.history import ROOT, read_history
from benchmarks.runner import run_all
from tests.support import benchmark, broken_benchmark

TOY, BROKEN = benchmark.__name__, broken_benchmark.__name__


def test_a_benchmark_that_fails_is_one_error_and_the_others_go_on(tmp_path: Path) -> None:
    (error,) = run_all({"broken": BROKEN, "toy": TOY}, tmp_path / "history")
    assert str(error) == f"benchmark failed: python -m {BROKEN} (exit code 1); run it alone"
    (run,) = read_history(tmp_path / "history")
    assert (run.benchmark, run.figures) == ("toy", benchmark.FIGURES)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_listed_benchmark_measures_figures(name: str) -> None:
    source = ast.parse((ROOT / f"benchmarks/{name}.py").read_text())
    functions = {node.name for node in source.body if isinstance(node, ast.FunctionDef)}
    assert "measure_figures" in functions
