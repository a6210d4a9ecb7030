"""A soak: the system under load, its jobs and faults, and what is there at the end."""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pandas as pd

from benchmarks.history import describe_machine, find_revision
from benchmarks.usage import measure_usage
from skyclass.sources import SimulatedSource
from tests.soak.evaluation import list_misses
from tests.soak.faults import Faults
from tests.soak.findings import compare_predictions, find_keys, read_logged
from tests.soak.jobs import BOOTSTRAP, Jobs
from tests.soak.load import generate_load, read_answers
from tests.soak.measurements import Measurements
from tests.soak.record import Operations, Record
from tests.soak.sampling import Sampler
from tests.soak.schedule import Schedule
from tests.soak.system import KILLED, PAGE, STEADY, STORE, System
from tests.soak.visits import Visitor
from tests.support.faults.history import History

logger = logging.getLogger(__name__)

_KINDS = ("prediction", "row", "release", "promotion", "verdict")


def run_soak(schedule: Schedule, home: Path) -> Record:
    """Run a soak.

    Args:
        schedule: What it does.
        home: Empty folder for its data.

    Returns:
        Its record, with the reasons why it has failed.
    """
    revision, history = find_revision(), History()
    began = datetime.now(UTC)
    failures: list[str] = []
    with measure_usage() as usage, System(home, schedule) as system:
        jobs = Jobs(system, schedule, history)
        faults = Faults(system, jobs, history)
        measured = _measure(schedule, system, jobs, faults, failures)
        if not failures:
            jobs.run_window()  # what a fault has left undone
        system.stop_predictors()
        failures += _compare_history(history, measured, faults, schedule, system, began)
    try:
        history.check()
    except AssertionError as error:
        failures.append(str(error))
    comparisons = measured.compare()
    failures += measured.list_failures()
    return Record(
        date=datetime.now(UTC).replace(microsecond=0),
        revision=revision,
        machine=describe_machine(),
        schedule=schedule,
        other_cores=round(usage.other_cores, 2),
        comparisons=tuple(comparisons),
        operations=tuple(_count_operations(history, kind) for kind in _KINDS),
        faults=tuple(measured.summarize_faults()),
        jobs=jobs.count(),
        minutes=tuple(measured.summarize_minutes()),
        misses=tuple(list_misses(comparisons, failures, len(measured.injections))),
    )


def _measure(
    schedule: Schedule, system: System, jobs: Jobs, faults: Faults, failures: list[str]
) -> Measurements:
    """Start everything, warm up, and measure."""
    logger.info("training the first release")
    jobs.bootstrap()
    system.start_servers()
    stop, last_fault = Event(), Event()
    pids = {name: _bind(system.find_pid, name) for name in (STEADY, KILLED, PAGE, STORE)}
    sampler = Sampler(pids, schedule.sample_seconds, stop)
    visitor = Visitor(system.page_url, schedule.sample_seconds, stop)
    file = system.home / "answers.csv"
    rate = schedule.requests_per_second

    def measure() -> Measurements:
        return Measurements(
            start, min(schedule.seconds, time.time() - start), read_answers(file),
            sampler.samples, sampler.machine,
            visitor.visits, jobs.runs, faults.injections,
        )  # fmt: skip

    with generate_load(system.targets, _read_observations(), rate, file), _threads(stop) as run:
        threads = [run(sampler.run), run(visitor.run)]
        logger.info("warming up")
        warm = time.monotonic() + schedule.warm_up_seconds
        jobs.run_window()
        jobs.train()
        stop.wait(max(warm - time.monotonic(), 0))
        start = time.time()
        threads += [
            # None begins at the bounds of a tenth, so that all tenths have the same number of each.
            run(_repeat, jobs.run_window, schedule.window_seconds, 1 / 2, stop),
            run(_repeat, jobs.train, schedule.promotion_seconds, 1 / 4, stop),
        ]
        injecting = run(faults.run, schedule.fault_seconds, last_fault)
        try:
            _watch([*threads, injecting], schedule, measure, failures)
            last_fault.set()
            wait([injecting])  # the jobs are needed for the recovery
        except BaseException:
            system.aborted.set()
            raise
    for thread in (*threads, injecting):
        if (error := thread.exception()) and str(error) not in failures:
            failures.append(str(error))
    return measure()


def _watch(
    threads: list[Future[None]],
    schedule: Schedule,
    measure: Callable[[], Measurements],
    failures: list[str],
) -> None:
    """Report the progress each minute until the soak is over, or a thread has failed."""
    start, minute = time.monotonic(), 0
    while (elapsed := time.monotonic() - start) < schedule.seconds:
        time.sleep(min(1, schedule.seconds - elapsed))
        for thread in threads:
            if thread.done():
                failures.append(str(thread.exception()))
                return
        if elapsed >= 60 * (minute + 1):
            _report(measure(), minute)
            minute += 1


def _report(measured: Measurements, number: int) -> None:
    minute = measured.summarize_minute(number)
    logger.info(
        "minute %d: %d requests, p50 %.1f ms, p99 %.1f ms, predictor %.0f MB and %.0f files, "
        "page %.0f MB, store %.0f MB; %d faults; %.2f cores busy",
        number + 1, minute.requests, minute.p50, minute.p99,
        *(each.get(name, float("nan")) for name, each in (
            (STEADY, minute.memory), (STEADY, minute.files),
            (PAGE, minute.memory), (STORE, minute.memory),
        )),
        len(measured.injections), minute.busy_cores,
    )  # fmt: skip


def _compare_history(
    history: History,
    measured: Measurements,
    faults: Faults,
    schedule: Schedule,
    system: System,
    began: datetime,
) -> list[str]:
    """Complete the history with the predictions, and with what is in the store.

    Returns:
        A failure, if the killed predictor has counted fewer rows as lost than are lost.
    """
    answers = measured.answers
    history.attempt(*(f"prediction {each}" for each in answers["id"]))
    answered = answers[answers["error"] == ""]
    history.acknowledge(*(f"prediction {each}" for each in answered["id"]))
    history.find(find_keys(system.store))
    history.find(compare_predictions(answers, read_logged(system.store, began)))
    lost_rows = 0
    for kill in faults.kills:
        at_risk = _find_unwritten(answered, kill, schedule.flush_seconds)
        keys = "prediction " + at_risk["id"]
        lost = at_risk[~keys.isin(history.found.keys())]
        history.count_losses(*keys[lost.index])
        lost_rows += lost["rows"].sum()
    if lost_rows <= faults.lost_rows:
        return []
    return [f"{lost_rows} rows of the log are lost, {faults.lost_rows:.0f} were counted"]


def _find_unwritten(answered: pd.DataFrame, kill: float, flush_seconds: float) -> pd.DataFrame:
    """Return the answers of which the killed predictor may not have written the log."""
    times = answered["due"] + answered["latency"]
    chosen = (answered["target"] == KILLED) & times.between(kill - 1.5 * flush_seconds, kill + 1)
    return answered[chosen]


def _count_operations(history: History, kind: str) -> Operations:
    attempted, acknowledged, losses = (
        sum(key.startswith(f"{kind} ") for key in keys)
        for keys in (history.attempted, history.acknowledged, history.counted_losses)
    )
    return Operations(kind, attempted, acknowledged, losses)


def _repeat(work: Callable[[], None], seconds: float, first: float, stop: Event) -> None:
    """Do work in each interval, the first time after a share of one, until the end."""
    due = time.monotonic() + seconds * first
    while not stop.wait(max(due - time.monotonic(), 0)):
        work()
        due += seconds


@contextmanager
def _threads(stop: Event) -> Iterator[Callable[..., Future[None]]]:
    """Run functions in threads, and end them after the block."""
    with ThreadPoolExecutor() as pool:
        try:
            yield pool.submit
        finally:
            stop.set()


def _bind(find_pid: Callable[[str], int | None], name: str) -> Callable[[], int | None]:
    return lambda: find_pid(name)


def _read_observations() -> pd.DataFrame:
    """Return the observations that are classified: they have labels in the table."""
    (batch,) = SimulatedSource.from_uri(BOOTSTRAP).read_batches(0)
    return batch.rows.to_pandas()
