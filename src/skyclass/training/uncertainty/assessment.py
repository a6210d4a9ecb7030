"""What is promised about the predictions of a release, and how well the promises are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skyclass.registry.domain import DomainModel
from skyclass.registry.label_sets import LabelSets
from skyclass.registry.models import Engine
from skyclass.registry.patterns import name_pattern
from skyclass.registry.purity import PurityCuts
from skyclass.survey.features import InputGroup, find_groups
from skyclass.survey.observation import CLASSES
from skyclass.training.uncertainty.calibration_rows import (
    CalibrationRows,
    Patterns,
    predict_patterns,
)
from skyclass.training.uncertainty.conformal import calibrate_label_sets
from skyclass.training.uncertainty.domain_fit import fit_domain
from skyclass.training.uncertainty.purity_cuts import find_purity_cuts

REPORTED_COVERAGE = 0.95
"""Coverage of the label sets that the report evaluates, and the default of monitoring."""


@dataclass(frozen=True)
class CoverageScore:
    """How well the label sets of a pattern keep the promise, by two-fold cross-validation.

    Attributes:
        pattern: Name of the pattern.
        rows: Rows with the inputs of the pattern.
        coverages: Share of the rows of each class whose set has it; NaN for a class without rows.
        mean_size: Mean number of classes in a set.
        single: Share of the rows whose set has one class.
    """

    pattern: str
    rows: int
    coverages: tuple[float, ...]
    mean_size: float
    single: float


@dataclass(frozen=True)
class Uncertainty:
    """Promises of a release about its predictions.

    Attributes:
        label_sets: Thresholds of the label sets.
        purity_cuts: Cuts for pure samples.
        domain: The domain, unless it raises too many false alarms.
        groups: Rows of the hold-out that have each optional group, masks of shape (n,).
        is_outside: Rows of the hold-out that are outside the domain, shape (n,); None without one.
        scores: How well label sets keep the promise, by pattern.
    """

    label_sets: LabelSets
    purity_cuts: PurityCuts
    domain: DomainModel | None
    groups: dict[InputGroup, npt.NDArray[np.bool_]]
    is_outside: npt.NDArray[np.bool_] | None
    scores: tuple[CoverageScore, ...]


def assess_uncertainty(
    features: npt.NDArray[np.float32],
    held_out: npt.NDArray[np.bool_],
    labels: npt.NDArray[np.object_],
    names: Sequence[str],
    engine: Engine,
    seed: int,
    missing_bands: Sequence[str] = (),
) -> Uncertainty:
    """Calibrate label sets and purity cuts on the hold-out, and fit the domain to the other rows.

    Args:
        features: Features of all rows, shape (n, len(names)).
        held_out: Mask of the random hold-out, shape (n,).
        labels: True classes, shape (n,).
        names: Features of the release.
        engine: The model, fitted on the other rows.
        seed: Seed of the fit of the domain, and of the folds of the scores.
        missing_bands: Bands without which the release predicts.
    """
    of_holdout = features[held_out]
    places = np.argmax([labels[held_out] == name for name in CLASSES], axis=0)
    patterns = predict_patterns(of_holdout, names, places, engine, missing_bands)
    domain = fit_domain(features[~held_out], of_holdout, names, seed)
    return Uncertainty(
        label_sets=calibrate_label_sets(patterns),
        purity_cuts=find_purity_cuts(patterns),
        domain=domain,
        groups=find_groups(of_holdout, names),
        is_outside=None if domain is None else domain.find_outside(of_holdout, names),
        scores=tuple(_score_coverage(patterns, seed)),
    )


def _score_coverage(patterns: Patterns, seed: int) -> list[CoverageScore]:
    """Score the patterns with no group, with one, and with all, and those with a missing band."""
    groups = [name for name in patterns if name in {name_pattern([each]) for each in InputGroup}]
    complete = name_pattern(groups)
    shown = [
        name
        for name in patterns
        if name in (name_pattern([]), complete, *groups) or name.startswith("without ")
    ]
    return [_score(name, patterns[name][0], seed) for name in shown]


def _score(pattern: str, rows: CalibrationRows, seed: int) -> CoverageScore:
    """Calibrate on half of the rows and count on the other half, in both directions."""
    size = len(rows.labels)
    fold = np.random.default_rng(seed).permutation(size) % 2
    selected = np.ones((size, len(CLASSES)), dtype=bool)
    for number in range(2):
        other = {name_pattern([]): [rows.select(fold != number)]}
        selected[fold == number] = calibrate_label_sets(other).select(
            rows.probabilities[fold == number], {}, REPORTED_COVERAGE
        )
    covered = selected[np.arange(size), rows.labels]
    return CoverageScore(
        pattern=pattern,
        rows=size,
        coverages=tuple(
            float(covered[rows.labels == place].mean()) if (rows.labels == place).any() else np.nan
            for place in range(len(CLASSES))
        ),
        mean_size=float(selected.sum(axis=1).mean()),
        single=float((selected.sum(axis=1) == 1).mean()),
    )
