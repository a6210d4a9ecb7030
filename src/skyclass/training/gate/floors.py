"""Floors: values that every release must reach, whether there is a champion or not.

A model below a floor points to a bug or to bad data, not to a weak algorithm. The floors of the
slices and of the temporal model are 0.05 or more below the worst of 400 models: decision trees,
random forests and gradient boosting, fitted on 1,000 to 20,000 real DR17 rows and simulated ones,
from single eras, consecutive nights and random samples.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from skyclass.registry.manifest import Evaluation
from skyclass.registry.verdicts import Check, Outcome
from skyclass.survey.features import Mode
from skyclass.survey.magnitudes import MAGNITUDE_BINS
from skyclass.training.gate.rows import MIN_ROWS, HeldOutRows, find_slices

CONFIDENCE = 0.95
"""One-sided confidence that the recall of a slice is below its floor."""


@dataclass(frozen=True)
class Floors:
    """Minimum metrics on a hold-out; `calibration_error` is a maximum, None if there is none."""

    accuracy: float
    macro_f1: float
    qso_recall: float
    calibration_error: float | None = None


RANDOM_FLOORS: Mapping[Mode, Floors] = {
    Mode.SPECTROSCOPIC: Floors(
        accuracy=0.93, macro_f1=0.93, qso_recall=0.75, calibration_error=0.05
    ),
    Mode.PHOTOMETRIC: Floors(accuracy=0.80, macro_f1=0.74, qso_recall=0.60, calibration_error=0.09),
}
"""Floors of the release on the random hold-out.

Worst of 15 splits of real rows by era: accuracy 0.946 and 0.817, macro-F1 0.953 and 0.762, QSO
recall 0.826 and 0.682, calibration error 0.037 and 0.069, in the two modes."""

TEMPORAL_FLOORS: Mapping[Mode, Floors] = {
    Mode.SPECTROSCOPIC: Floors(accuracy=0.85, macro_f1=0.85, qso_recall=0.60),
    Mode.PHOTOMETRIC: Floors(accuracy=0.55, macro_f1=0.50, qso_recall=0.25),
}
"""Floors of the same algorithm, fitted on the older nights, on the temporal hold-out.

They are low: at the start of the BOSS survey, the older nights have other objects. Worst: accuracy
0.909 and 0.647, macro-F1 0.928 and 0.578, QSO recall 0.707 and 0.359, in the two modes."""

SLICE_FLOORS: Mapping[Mode, Mapping[str, tuple[float, ...]]] = {
    Mode.SPECTROSCOPIC: {
        "GALAXY": (0.90, 0.90, 0.80, 0.85, 0.85),
        "QSO": (0.80, 0.85, 0.80, 0.80, 0.70),
        "STAR": (0.90, 0.90, 0.90, 0.85, 0.80),
    },
    Mode.PHOTOMETRIC: {
        "GALAXY": (0.85, 0.75, 0.50, 0.75, 0.75),
        "QSO": (0.60, 0.60, 0.60, 0.55, 0.40),
        "STAR": (0.65, 0.55, 0.35, 0.10, 0.00),
    },
}
"""Floors of the recall of a class, for each of `MAGNITUDE_BINS`, in every era.

They find a class that is lost. An honest model without redshift finds 0.6 of the galaxies between
20 and 21 mag in eBOSS, and a tenth of the stars beyond 21 mag. What a model loses above its floors
is found by the comparison with the champion."""


def check_random_floors(release: Evaluation) -> Iterator[Check]:
    """Check the release's metrics on the random hold-out."""
    yield from _check_floors("floor", release, RANDOM_FLOORS[release.mode])


def check_temporal_floors(temporal: Evaluation) -> Iterator[Check]:
    """Check the metrics of the temporal model, which was fitted on the older nights only.

    The newest nights may lack a class: its recall and F1 would be 0. The QSO recall is left out if
    there are fewer than `MIN_ROWS` quasars, the macro-F1 if there are as few rows of any class.
    """
    rare = [name for name, scores in temporal.classes.items() if scores.support < MIN_ROWS]
    left_out = {*(["macro-F1"] if rare else []), *(["QSO recall"] if "QSO" in rare else [])}
    for check in _check_floors("temporal_floor", temporal, TEMPORAL_FLOORS[temporal.mode]):
        if check.subject not in left_out:
            yield check


def check_slice_floors(
    rows: HeldOutRows, probabilities: npt.NDArray[np.float64], mode: Mode
) -> Iterator[Check]:
    """Check the recall of each slice.

    A slice fails if the upper Wilson bound of its recall is below the floor. At a floor of 0.90,
    the lower bound would fail a slice with 48 of 50 rows correct.

    Args:
        rows: The rows of the random hold-out.
        probabilities: Predictions of the challenger for them, shape (n, 3).
        mode: Mode of the model.
    """
    correct = probabilities.argmax(axis=1) == rows.labels
    for part in find_slices(rows):
        floor = SLICE_FLOORS[mode][part.class_name][MAGNITUDE_BINS.index(part.magnitudes)]
        hits, size = int(correct[part.members].sum()), len(part.members)
        bound = (
            binomtest(hits, size, alternative="less")
            .proportion_ci(confidence_level=CONFIDENCE, method="wilson")
            .high
        )
        yield Check(
            group="slice_floor",
            subject=part.name,
            test="Wilson upper bound",
            rows=size,
            challenger=hits / size,
            limit=floor,
            outcome=Outcome.FAILED if bound < floor else Outcome.PASSED,
        )


def _check_floors(group: str, metrics: Evaluation, floors: Floors) -> Iterator[Check]:
    minima = {
        "accuracy": (metrics.accuracy, floors.accuracy),
        "macro-F1": (metrics.macro_f1, floors.macro_f1),
        "QSO recall": (metrics.classes["QSO"].recall, floors.qso_recall),
    }
    for subject, (value, floor) in minima.items():
        yield _make_check(group, subject, "minimum", metrics.rows, value, floor, value < floor)
    if floors.calibration_error is not None:
        value, limit = metrics.calibration_error, floors.calibration_error
        yield _make_check(
            group, "calibration error", "maximum", metrics.rows, value, limit, value > limit
        )


def _make_check(
    group: str, subject: str, test: str, rows: int, value: float, limit: float, failed: bool
) -> Check:
    return Check(
        group=group,
        subject=subject,
        test=test,
        rows=rows,
        challenger=value,
        limit=limit,
        outcome=Outcome.FAILED if failed else Outcome.PASSED,
    )
