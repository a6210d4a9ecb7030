"""Cuts for pure samples, found on rows that the model was not fitted on."""

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from skyclass.registry.purity import PURITIES, PerClass, PurityCuts
from skyclass.survey.observation import CLASSES
from skyclass.training.uncertainty.calibration_rows import CalibrationRows, Patterns

CONFIDENCE = 0.95
"""One-sided confidence of the lower bound of a sample's purity."""


def find_purity_cuts(patterns: Patterns) -> PurityCuts:
    """Find the cuts of each pattern.

    Args:
        patterns: Rows that the model was not fitted on.
    """
    cuts, completeness = {}, {}
    for name, parts in patterns.items():
        found = np.maximum.reduce([find_cuts(part) for part in parts])
        cuts[name] = _to_tuples(found)
        reached = np.minimum.reduce([_compute_completeness(part, found) for part in parts])
        completeness[name] = _to_tuples(np.where(np.isinf(found), np.nan, reached))
    return PurityCuts(cuts=cuts, completeness=completeness)


def find_cuts(rows: CalibrationRows) -> npt.NDArray[np.float64]:
    """Find the smallest cut of each purity and class.

    It is the smallest at which the lower confidence bound of the purity (Clopper-Pearson) reaches
    it. In simulations with 2,000 rows, 3 to 7 % of the samples above such cuts were less pure than
    promised; with the measured purity instead of its bound, 46 to 62 % were.

    Returns:
        Shape (len(PURITIES), 3); infinite where the purity is not reached.
    """
    predicted = rows.probabilities.argmax(axis=1)
    cuts = np.full((len(PURITIES), len(CLASSES)), np.inf)
    for place in range(len(CLASSES)):
        chosen = predicted == place
        if not chosen.any():
            continue
        highest = rows.probabilities[chosen, place]
        order = np.argsort(-highest, kind="stable")
        values, right = highest[order], np.cumsum(rows.labels[chosen][order] == place)
        # Halfway to the next value: the formats of a model round differently. Below the lowest: 0.
        between = (values + np.append(values[1:], -values[-1])) / 2
        ends = np.append(values[:-1] > values[1:], True)  # equal values are above a cut together
        right, between, sizes = right[ends], between[ends], np.flatnonzero(ends) + 1
        bounds = np.where(right > 0, beta.ppf(1 - CONFIDENCE, right, sizes - right + 1), 0)
        for number, purity in enumerate(PURITIES):
            reached = np.flatnonzero(bounds >= purity)
            if len(reached):
                cuts[number, place] = between[reached[-1]]
    return np.maximum.accumulate(cuts, axis=0)


def _compute_completeness(
    rows: CalibrationRows, cuts: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Compute the share of each class that is predicted as it and reaches its cut."""
    predicted = rows.probabilities.argmax(axis=1)
    found = np.full(cuts.shape, np.nan)
    for place in range(len(CLASSES)):
        of_class = rows.labels == place
        if of_class.any():
            highest = rows.probabilities[of_class & (predicted == place), place]
            found[:, place] = (highest >= cuts[:, [place]]).sum(axis=1) / of_class.sum()
    return found


def _to_tuples(values: npt.NDArray[np.float64]) -> tuple[PerClass, ...]:
    return tuple(
        tuple(round(value, 5) if np.isfinite(value) else None for value in row)
        for row in values.tolist()
    )
