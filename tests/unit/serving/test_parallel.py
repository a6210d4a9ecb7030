"""Large requests on idle threads."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest

from skyclass.registry.models import LoadedModel
from skyclass.registry.releases import Release
from skyclass.serving.log_writer import PredictionLogWriter
from skyclass.serving.parallel import PART_ROWS, ParallelEngine
from skyclass.serving.predictor import Predictor
from skyclass.serving.settings import ServingSettings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.releases import draft

TIMEOUT_SECONDS = 10
CORES = 2

Features = npt.NDArray[np.float32]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(CORES) as pool:
        yield pool


def make_features(rows: int) -> Features:
    return np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)


def one_idle() -> int:
    return 1


def double(features: Features, /) -> npt.NDArray[np.float64]:
    return features.astype(np.float64) * 2


@pytest.mark.parametrize("rows", [1, PART_ROWS, 2 * PART_ROWS, 4 * PART_ROWS + 3])
def test_probabilities_are_in_the_order_of_the_rows(rows: int, threads: ThreadPoolExecutor) -> None:
    features = make_features(rows)
    found = ParallelEngine(double, threads, one_idle)(features)
    np.testing.assert_array_equal(found, double(features))


def test_an_idle_thread_helps(threads: ThreadPoolExecutor) -> None:
    both = threading.Barrier(CORES)

    def wait_for_the_other(features: Features, /) -> npt.NDArray[np.float64]:
        both.wait(TIMEOUT_SECONDS)  # fails unless two threads are at work
        return double(features)

    features = make_features(CORES * PART_ROWS)
    found = ParallelEngine(wait_for_the_other, threads, one_idle)(features)
    np.testing.assert_array_equal(found, double(features))


def test_requests_complete_while_all_threads_are_busy(threads: ThreadPoolExecutor) -> None:
    engine, features = ParallelEngine(double, threads, one_idle), make_features(10 * PART_ROWS)
    requests = [threads.submit(engine, features) for _ in range(4 * CORES)]
    for request in requests:
        np.testing.assert_array_equal(request.result(TIMEOUT_SECONDS), double(features))


@pytest.mark.parametrize("idle", [0, -3])
def test_a_request_is_whole_without_an_idle_thread(idle: int, threads: ThreadPoolExecutor) -> None:
    sizes = []

    def record(features: Features, /) -> npt.NDArray[np.float64]:
        sizes.append(len(features))
        return double(features)

    ParallelEngine(record, threads, lambda: idle)(make_features(4 * PART_ROWS))
    assert sizes == [4 * PART_ROWS]


def test_the_predictor_keeps_to_its_cpu_limit(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # in place of the CPU limit of a container
    sizes = []

    def record(features: Features, /) -> npt.NDArray[np.float64]:
        sizes.append(len(features))
        return double(features)

    predictor = Predictor(Mode.PHOTOMETRIC, PredictionLogWriter(store, ServingSettings()))
    release = Release("ab" * 32, draft(Mode.PHOTOMETRIC))
    predictor.set_model(LoadedModel(release, "onnx", record))
    engine = predictor.find_model().engine
    asyncio.run(predictor.run_in_thread(engine, make_features(4 * PART_ROWS)))
    assert sizes == [4 * PART_ROWS]


def test_an_error_of_a_helper_is_raised(threads: ThreadPoolExecutor) -> None:
    caller, begun = threading.get_ident(), threading.Event()

    def fail_in_helper(features: Features, /) -> npt.NDArray[np.float64]:
        if threading.get_ident() != caller:
            begun.set()
            raise ValueError("helper")
        assert begun.wait(TIMEOUT_SECONDS)
        return double(features)

    with pytest.raises(ValueError, match="helper"):
        ParallelEngine(fail_in_helper, threads, one_idle)(make_features(4 * PART_ROWS))
