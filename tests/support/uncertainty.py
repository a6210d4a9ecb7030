"""Probabilities and real rows for tests of label sets, purity cuts and domains."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from skyclass.registry.patterns import NO_GROUPS
from skyclass.survey.observation import CLASSES
from skyclass.training.uncertainty.calibration_rows import CalibrationRows, Patterns


def draw_rows(
    size: int, seed: int, sharpness: float = 2.0, digits: int | None = None
) -> CalibrationRows:
    """Draw labels from calibrated probabilities, as a perfect model would predict them.

    Args:
        size: Number of rows.
        seed: Seed of the probabilities and the labels.
        sharpness: How far the logits of the classes are apart.
        digits: Decimal digits of the probabilities; few make ties.
    """
    rng = np.random.default_rng(seed)
    logits = sharpness * rng.standard_normal((size, len(CLASSES))) + np.array([1.0, 0.0, 0.3])
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    uniform = rng.random((size, 1))
    labels = (uniform > np.cumsum(probabilities, axis=1)[:, :-1]).sum(axis=1)
    if digits is not None:
        probabilities = np.round(probabilities, digits)
    return CalibrationRows(labels, probabilities)


def make_patterns(rows: CalibrationRows) -> Patterns:
    """Return the patterns of a release without optional groups."""
    return {NO_GROUPS: [rows]}


def compute_class_coverage(
    selected: npt.NDArray[np.bool_], labels: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Return the share of the rows of each class whose label set has their class, shape (3,)."""
    covered = selected[np.arange(len(labels)), labels]
    return np.array([covered[labels == place].mean() for place in range(len(CLASSES))])


def read_real_rows(path: object) -> pd.DataFrame:
    """Read the measurements, classes and nights of the real rows."""
    rows = pd.read_csv(str(path)).rename(columns={"MJD": "mjd", "fiber_ID": "fiber_id"})
    return rows[(rows[list("ugriz")] > 0).all(axis=1)].reset_index(drop=True)
