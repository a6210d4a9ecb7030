import pytest

from benchmarks.__main__ import BenchmarkError, run_benchmark


def test_a_benchmark_that_fails_is_reported_with_its_exit_code() -> None:
    with pytest.raises(BenchmarkError, match="benchmark absent failed: exit code 1"):
        list(run_benchmark("absent"))
