"""What a soak does, and how often."""

from dataclasses import dataclass

_REPETITIONS = 20
"""Promotions and faults of a long soak. Of six kinds of faults, the first and the last tenth of the
soak get the same two, so that their figures can be compared."""


@dataclass(frozen=True)
class Schedule:
    """Durations and intervals of a soak, in seconds.

    Attributes:
        seconds: What is measured, without the start and the warm-up.
        promotion_seconds: Interval of trainings, each followed by a promotion.
        fault_seconds: Interval of faults; the first follows after half of it.
        window_seconds: Length of the windows, instead of a day; ingest, score, drift and
            maintenance run once in each of them.
        warm_up_seconds: Load before the measurement, at least; it also includes a run of each job
            and a promotion.
        flush_seconds: Longest time between a prediction and its write to the prediction log.
        sample_seconds: Interval of samples of memory and open files, and of visits of the page.
        requests_per_second: Rate of requests to each of the two predictors.
    """

    seconds: float
    promotion_seconds: float
    fault_seconds: float
    window_seconds: int = 60
    warm_up_seconds: float = 60
    flush_seconds: float = 10
    sample_seconds: float = 5
    requests_per_second: float = 20


def plan(minutes: float) -> Schedule:
    """Return the schedule of a soak of some minutes, for which 5 are few."""
    seconds = minutes * 60
    return Schedule(
        seconds=seconds,
        promotion_seconds=max(90, seconds / _REPETITIONS),
        fault_seconds=max(45, seconds / _REPETITIONS),
    )
