"""A soak fails when something has grown, was lost or failed without a fault."""

from statistics import median

import pandas as pd
import pytest

from tests.soak.evaluation import Comparison, NoSamplesError, compare_tenths, list_misses
from tests.soak.faults import Injection
from tests.soak.findings import compare_predictions
from tests.soak.jobs import JobRun
from tests.soak.load import COLUMNS
from tests.soak.measurements import Measurements
from tests.soak.sampling import Sample
from tests.soak.system import KILLED, PAGE, STEADY, STORE
from tests.soak.visits import Visit

START, SECONDS = 1_800_000_000.0, 1_000.0
FAULT = Injection("SIGKILL of a predictor", START + 400, START + 400, START + 410, "it ended")


def make_answer(number: int, target: str = STEADY, latency: float = 0.002, error: str = "") -> dict:
    values = (f"{target}-{number}", target, START + number, latency, 1, "V1", error)
    return dict(zip(COLUMNS, values, strict=True))


def make_samples(process: str, growth: float = 0.0) -> list[Sample]:
    return [
        Sample(START + second, process, 200 * (1 + growth * second / SECONDS), 30, 20)
        for second in range(0, 1_000, 5)
    ]


def make_answers(growth: float = 0.0) -> list[dict]:
    """Return answers of both predictors; the latency grows by a share in each second."""
    return [
        make_answer(number, target, 0.002 * (1 + growth * number))
        for target in (STEADY, KILLED)
        for number in range(1_000)
    ]


def measure(**changes: object) -> Measurements:
    """Return measurements in which nothing grows or fails, with some changes."""
    given = {
        "answers": pd.DataFrame(make_answers()),
        "samples": [each for name in (STEADY, PAGE, STORE) for each in make_samples(name)],
        "machine": (),
        "visits": (),
        "runs": (),
        "injections": [FAULT],
    }
    return Measurements(start=START, seconds=SECONDS, **{**given, **changes})


def find_misses(measured: Measurements) -> list[str]:
    failures = list(measured.list_failures())
    return list_misses(measured.compare(), failures, len(measured.injections))


def test_soak_without_growth_passes() -> None:
    assert find_misses(measure()) == []


@pytest.mark.parametrize("process", [STEADY, PAGE])
def test_growing_memory_is_a_miss(process: str) -> None:
    others = [each for name in (STEADY, PAGE, STORE) for each in make_samples(name)]
    samples = [each for each in others if each.process != process] + make_samples(process, 0.1)
    (miss,) = find_misses(measure(samples=samples))
    assert miss.startswith(f"grew: memory of the {process}: 201")


def test_memory_of_the_object_store_may_grow() -> None:
    samples = [each for name in (STEADY, PAGE) for each in make_samples(name)]
    assert find_misses(measure(samples=[*samples, *make_samples(STORE, 0.5)])) == []


def test_slower_answers_are_a_miss() -> None:
    misses = find_misses(measure(answers=pd.DataFrame(make_answers(growth=0.0005))))
    assert [miss.partition(":")[0] for miss in misses] == ["grew", "grew"]
    assert "latency of the predictor, p50" in misses[0]
    assert "latency of the predictor, p99" in misses[1]


@pytest.mark.parametrize(("slow", "ratio"), [((STEADY, KILLED), 1.0), ((STEADY,), 2.0)])
def test_a_slower_machine_does_not_change_the_ratio_of_the_latencies(
    slow: tuple[str, ...], ratio: float
) -> None:
    rows = make_answers()
    for row in rows:
        if row["target"] in slow and row["due"] >= START + 0.9 * SECONDS:
            row["latency"] *= 2
    compared = measure(answers=pd.DataFrame(rows)).compare()
    assert [each.last for each in compared if each.unit == "x"] == pytest.approx([ratio, ratio])


def test_failed_request_to_the_steady_predictor_is_a_miss_even_in_a_fault() -> None:
    rows = make_answers()
    rows[401] = make_answer(401, error="HTTP 503")
    (miss,) = find_misses(measure(answers=pd.DataFrame(rows)))
    found = "1 failures that no fault explains: predictor, request: HTTP 503: at 401.0 s for 0.0 s"
    assert miss == found


@pytest.mark.parametrize(("second", "misses"), [(405, 0), (500, 1)])
def test_killed_predictor_may_fail_in_the_fault_only(second: int, misses: int) -> None:
    rows = make_answers()
    rows.append(make_answer(second, KILLED, error="ConnectionRefusedError"))
    assert len(find_misses(measure(answers=pd.DataFrame(rows)))) == misses


@pytest.mark.parametrize(("second", "misses"), [(405, 0), (500, 1)])
def test_jobs_and_page_may_fail_in_a_fault_only(second: int, misses: int) -> None:
    time = START + second
    failed = JobRun("score", time, time + 1, 1, "error: unreachable")
    assert len(find_misses(measure(runs=[failed]))) == misses
    visit = Visit("/", time, time + 0.1, "HTTP 503")
    assert len(find_misses(measure(visits=[visit]))) == misses


def test_failures_of_one_kind_are_one_miss_with_their_times() -> None:
    visits = [Visit("/", START + 500 + n, START + 500.5 + n, "HTTP 503") for n in range(7)]
    (miss,) = find_misses(measure(visits=visits))
    assert miss.startswith(
        "7 failures that no fault explains: monitor page, visit of /: HTTP 503: "
        "at 500.0 s for 0.5 s (90.0 s after: SIGKILL of a predictor), at 501.0 s"
    )
    assert miss.endswith(", ...")


def test_soak_without_a_fault_fails() -> None:
    assert find_misses(measure(injections=())) == ["no fault was injected"]


def test_missing_tenth_is_an_error() -> None:
    with pytest.raises(NoSamplesError, match="memory: no sample in the last tenth"):
        compare_tenths("memory", "MB", [(1, 200.0)], 100, median)


def test_comparison_is_described_with_its_growth() -> None:
    comparison = Comparison("memory of the predictor", "MB", 250, 260)
    described = "memory of the predictor: 250 MB, then 260 MB (+4.0%)"
    assert comparison.describe() == described


def find_predictions(rows: int, distinct: int) -> list[str]:
    """Return what is found of a request of ten rows, of which some are in the log."""
    answers = pd.DataFrame({"id": ["a"], "rows": [10]})
    logged = pd.DataFrame({"request_id": ["a"], "rows": [rows], "distinct": [distinct]})
    return list(compare_predictions(answers, logged))


def test_prediction_is_found_once_if_all_its_rows_are_logged_once() -> None:
    assert find_predictions(10, 10) == ["prediction a"]


def test_prediction_with_a_lost_row_is_not_found() -> None:
    assert find_predictions(9, 9) == []


def test_prediction_with_a_doubled_row_is_found_twice() -> None:
    assert find_predictions(11, 10) == ["prediction a", "prediction a"]


def test_prediction_that_nobody_requested_is_found() -> None:
    answers = pd.DataFrame({"id": ["a"], "rows": [1]})
    logged = pd.DataFrame({"request_id": ["b"], "rows": [1], "distinct": [1]})
    assert list(compare_predictions(answers, logged)) == ["prediction b"]
