"""The external merge sort."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from skyclass.maintenance.sorting import BATCH_ROWS, merge_runs, read_run, write_run

RNG = np.random.default_rng(0)


def make_rows(times: np.ndarray) -> pa.Table:
    return pa.table({"time": pa.array(times, pa.timestamp("us", tz="UTC")), "value": times})


@pytest.mark.parametrize(
    "runs",
    [
        pytest.param([RNG.integers(0, 10**9, size) for size in (50_000, 3, 40_000)], id="random"),
        pytest.param([np.zeros(40_000, dtype=np.int64) for _ in range(3)], id="one time"),
        pytest.param([np.arange(5), np.arange(5, 10)], id="one after the other"),
        pytest.param([np.empty(0, dtype=np.int64), np.arange(3)], id="an empty run"),
        pytest.param([], id="no runs"),
    ],
)
def test_merged_runs_have_all_rows_in_order_with_little_memory(
    runs: list[np.ndarray], tmp_path: Path
) -> None:
    paths = [tmp_path / f"{number}.arrow" for number in range(len(runs))]
    for times, path in zip(runs, paths, strict=True):
        write_run(make_rows(times), "time", path)

    merged = list(merge_runs([read_run(path) for path in paths], "time"))

    found = [value for table in merged for value in table["value"].to_pylist()]
    assert found == sorted(value for times in runs for value in times.tolist())
    assert all(table.num_rows <= BATCH_ROWS * len(runs) for table in merged)
