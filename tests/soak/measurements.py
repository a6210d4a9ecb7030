"""What a soak has measured, and the figures and failures that follow from it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np
import pandas as pd

from tests.soak.evaluation import Comparison, compare_tenths
from tests.soak.faults import Injection
from tests.soak.jobs import JobRun
from tests.soak.record import InjectedFaults, Minute
from tests.soak.sampling import MachineSample, Sample
from tests.soak.system import KILLED, PAGE, STEADY, STORE
from tests.soak.visits import Visit

_MINUTE = 60
_TIMES = 5
"""Times of failures of one kind that are described."""


@dataclass(frozen=True)
class _Failure:
    """A request, a visit or a run that failed; times are Unix times."""

    target: str
    what: str
    start: float
    end: float
    error: str

    def describe(self) -> str:
        """Return what failed and how, without the time."""
        return f"{self.target}, {self.what}: {self.error}"


@dataclass(frozen=True)
class Measurements:
    """What a soak has measured; all times are Unix times.

    Attributes:
        start: Start of the measurement, after the warm-up.
        seconds: Its duration.
        answers: Requests to the predictors, with columns `COLUMNS` of `tests.soak.load`.
        samples: Samples of the processes.
        machine: Samples of the machine.
        visits: Visits of the monitor page.
        runs: Runs of jobs.
        injections: Faults.
    """

    start: float
    seconds: float
    answers: pd.DataFrame
    samples: Sequence[Sample]
    machine: Sequence[MachineSample]
    visits: Sequence[Visit]
    runs: Sequence[JobRun]
    injections: Sequence[Injection]

    def list_latencies(self, target: str = STEADY) -> pd.DataFrame:
        """Return the answers of a predictor within the measurement.

        Args:
            target: Its name; by default that of the one that is never restarted.

        Returns:
            `time`, in seconds since the start, and `latency`, in ms.
        """
        answers = self.answers[(self.answers["target"] == target) & (self.answers["error"] == "")]
        times = answers["due"] - self.start
        found = pd.DataFrame({"time": times, "latency": answers["latency"] * 1000})
        return found[times.between(0, self.seconds)]

    def compare(self) -> list[Comparison]:
        """Compare the first and the last tenth.

        Raises:
            NoSamplesError: A tenth has no sample.
        """
        compare = partial(compare_tenths, seconds=self.seconds)
        compared = []
        for process in (STEADY, PAGE, STORE):
            for name, unit, attribute in (
                ("memory", "MB", "memory"),
                ("open files", "files", "files"),
                ("threads", "threads", "threads"),
            ):
                series = [
                    (each.time - self.start, getattr(each, attribute))
                    for each in self.samples
                    if each.process == process
                ]
                title = f"{name} of the {process}"
                # The store grows with its data, and pools of threads by one up to their limit.
                has_target = process != STORE and attribute != "threads"
                compared.append(
                    compare(title, unit, series, summarize=median, has_target=has_target)
                )
        steady, killed = (
            list(self.list_latencies(target).itertuples(index=False, name=None))
            for target in (STEADY, KILLED)
        )
        for percentile in (50, 99):
            title = f"latency of the {STEADY}, p{percentile}"
            summarize = partial(np.percentile, q=percentile)
            found = compare(title, "ms", steady, summarize=summarize)
            # Both have the same load, releases and machine, but only one of them has run all along.
            peer = compare(title, "ms", killed, summarize=summarize)
            ratios = found.first / peer.first, found.last / peer.last
            compared += [found, Comparison(f"{title} / {KILLED}", "x", *ratios, has_target=False)]
        return compared

    def list_failures(self) -> Iterator[str]:
        """Yield the failures that no fault explains: one line for each kind, with its times."""
        unexplained: dict[str, list[_Failure]] = {}
        for failure in self._find_failures():
            if failure.target == STEADY or not self._has_fault(failure):
                unexplained.setdefault(failure.describe(), []).append(failure)
        for kind, failures in unexplained.items():
            times = ", ".join(map(self._describe_time, failures[:_TIMES]))
            more = ", ..." if len(failures) > _TIMES else ""
            yield f"{len(failures)} failures that no fault explains: {kind}: {times}{more}"

    def _find_failures(self) -> Iterator[_Failure]:
        """Yield all failures, whether or not there was a fault."""
        failed = self.answers[self.answers["error"] != ""]
        columns = (failed[name] for name in ("target", "due", "latency", "error"))
        for target, due, latency, error in zip(*columns, strict=True):
            yield _Failure(target, "request", due, due + latency, error)
        for run in self.runs:
            if run.status:
                error = f"status {run.status}, {run.message}"
                yield _Failure(run.name, "run", run.start, run.end, error)
        for visit in self.visits:
            if visit.error:
                what = f"visit of {visit.path}"
                yield _Failure(PAGE, what, visit.start, visit.end, visit.error)

    def _describe_time(self, failure: _Failure) -> str:
        """Return when a failure was, since the start and since the fault before it."""
        time = f"at {failure.start - self.start:.1f} s for {failure.end - failure.start:.1f} s"
        earlier = [each for each in self.injections if each.recovered < failure.start]
        if not earlier:
            return time
        last = max(earlier, key=lambda each: each.recovered)
        return f"{time} ({failure.start - last.recovered:.1f} s after: {last.title})"

    def summarize_minutes(self) -> Iterator[Minute]:
        """Yield the figures of each whole minute, or of the only one that was begun."""
        for number in range(max(int(self.seconds // _MINUTE), 1)):
            yield self.summarize_minute(number)

    def summarize_minute(self, number: int) -> Minute:
        """Return the figures of one minute, NaN where nothing was measured."""
        first = number * _MINUTE
        latencies = self.list_latencies()
        chosen = latencies[latencies["time"].between(first, first + _MINUTE)]["latency"]
        start, end = self.start + first, self.start + first + _MINUTE
        samples = [each for each in self.samples if start <= each.time < end]
        machine = [each for each in self.machine if start <= each.time < end]
        processes = dict.fromkeys(each.process for each in samples)
        return Minute(
            number=number,
            requests=len(chosen),
            p50=_round(chosen.quantile(0.5)),
            p99=_round(chosen.quantile(0.99)),
            memory={
                name: _round(median(each.memory for each in samples if each.process == name))
                for name in processes
            },
            files={
                name: median(each.files for each in samples if each.process == name)
                for name in processes
            },
            busy_cores=_mean([each.busy_cores for each in machine]),
            stolen_cores=_mean([each.stolen_cores for each in machine]),
            load_average=_mean([each.load_average for each in machine]),
        )

    def summarize_faults(self) -> Iterator[InjectedFaults]:
        """Yield the faults of each kind."""
        for title in dict.fromkeys(each.title for each in self.injections):
            found = [each for each in self.injections if each.title == title]
            recovery = max(each.recovered - each.end for each in found)
            yield InjectedFaults(title, len(found), round(recovery, 1), found[0].evidence)

    def _has_fault(self, failure: _Failure) -> bool:
        """Return whether a fault was there, or its recovery, in some of the time."""
        return any(
            each.start <= failure.end and failure.start <= each.recovered
            for each in self.injections
        )


def _mean(values: Sequence[float]) -> float:
    return _round(float(np.mean(values)) if values else float("nan"))


def _round(value: float) -> float:
    return round(float(value), 2)
