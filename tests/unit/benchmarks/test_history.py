from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.figures import Figure
from benchmarks.history import HISTORY, Machine, Run, append_run, find_latest, read_history

FIGURE = Figure("Serving", "one row", 0.4, "ms of CPU", "stock", 32.0, 10.0)
RUN = Run(
    benchmark="endpoint",
    date=datetime(2026, 11, 26, 12, tzinfo=UTC),
    revision="be19c58",
    machine=Machine(2, "a processor", {"numpy": "2.3"}),
    figures=(FIGURE, Figure("Start-up", "ready", 2.8, "s")),
    seconds=12.5,
    other_cores=0.1,
)


def test_a_run_is_read_as_it_was_appended(tmp_path: Path) -> None:
    append_run(RUN, tmp_path / "history")
    assert read_history(tmp_path / "history") == [RUN]


def test_appending_keeps_earlier_runs_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "history"
    append_run(RUN, path)
    before = path.read_bytes()
    append_run(replace(RUN, revision="048e847"), path)
    assert path.read_bytes().startswith(before)


def test_runs_are_read_in_the_order_of_their_dates(tmp_path: Path) -> None:
    earlier = replace(RUN, date=RUN.date - timedelta(days=1))
    for run in (RUN, earlier):
        append_run(run, tmp_path / "history")
    assert read_history(tmp_path / "history") == [earlier, RUN]


def test_a_history_without_a_file_is_empty(tmp_path: Path) -> None:
    assert read_history(tmp_path / "history") == []


def test_running_one_benchmark_again_keeps_the_last_runs_of_the_others() -> None:
    other = replace(RUN, benchmark="data")
    again = replace(RUN, date=RUN.date + timedelta(days=1))
    assert find_latest([RUN, other, again], ("data", "endpoint")) == [other, again]


def test_a_benchmark_that_no_longer_exists_is_left_out() -> None:
    assert find_latest([RUN], ("data",)) == []


@pytest.mark.parametrize(
    ("ratio", "target", "is_met"),
    [
        (32.0, 10.0, True),
        (9.9, 10.0, False),
        (None, 0.4, True),
        (None, 0.3, False),
        (2.0, None, None),
    ],
)
def test_a_target_is_the_least_ratio_or_the_largest_value(
    ratio: float | None, target: float | None, is_met: bool | None
) -> None:
    assert replace(FIGURE, ratio=ratio, target=target).is_met is is_met


def test_the_stored_history_can_be_read() -> None:
    assert all(run.figures for run in read_history(HISTORY))
