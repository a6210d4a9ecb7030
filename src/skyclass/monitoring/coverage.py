"""Achieved coverage of label sets, measured on the predictions of a window with a label."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from skyclass.registry.documents import Document
from skyclass.registry.label_sets import LabelSets
from skyclass.registry.patterns import Mask, find_missing_bands
from skyclass.survey.features import MAGNITUDES, InputGroup
from skyclass.survey.magnitudes import MAGNITUDE_BINS, find_magnitude_bins
from skyclass.survey.observation import CLASSES, Era, find_eras
from skyclass.tables.log.schema import PROBABILITIES


class CoverageCount(Document):
    """Labelled predictions, and how many of them have their class in the label set."""

    rows: int
    covered: int

    @property
    def share(self) -> float:
        """Achieved coverage."""
        return self.covered / self.rows


class LabelSetCoverage(CoverageCount):
    """Achieved coverage of a window, or of several.

    Attributes:
        promise: Coverage that the label sets promise.
        mean_size: Mean number of classes in a label set.
        classes: Counts by true class.
        magnitudes: Counts by magnitude bin.
        eras: Counts by survey era.
    """

    promise: float
    mean_size: float
    classes: dict[str, CoverageCount]
    magnitudes: dict[str, CoverageCount]
    eras: dict[str, CoverageCount]


def measure_coverage(
    labelled: pd.DataFrame,
    label_sets: LabelSets,
    groups: Mapping[InputGroup, Mask],
    promise: float,
) -> LabelSetCoverage | None:
    """Measure the coverage of the label sets of a window.

    Args:
        labelled: Predictions with a label, as returned by `join_labels`.
        label_sets: Those of the release that predicted.
        groups: Rows that have each optional group, masks of shape (n,).
        promise: Coverage that the label sets promise.

    Returns:
        None if no prediction has a label.
    """
    if labelled.empty:
        return None
    missing = find_missing_bands(labelled[list(MAGNITUDES)].to_numpy(np.float64))
    probabilities = labelled[list(PROBABILITIES)].to_numpy(np.float64)
    selected = label_sets.select(probabilities, groups, promise, missing)
    labels = np.argmax([labelled["class"] == name for name in CLASSES], axis=0)
    covered = selected[np.arange(len(labels)), labels]
    r = labelled["r"].to_numpy(np.float64)
    bins = np.where(np.isnan(r), "", np.array(MAGNITUDE_BINS)[find_magnitude_bins(r)])
    return LabelSetCoverage(
        rows=len(labels),
        covered=int(covered.sum()),
        promise=promise,
        mean_size=float(selected.sum(axis=1).mean()),
        classes=_count(covered, labelled["class"].to_numpy(object), CLASSES),
        magnitudes=_count(covered, bins, MAGNITUDE_BINS),
        eras=_count(covered, find_eras(labelled["mjd"].to_numpy()), [str(era) for era in Era]),
    )


def pool_coverage(measured: Sequence[LabelSetCoverage]) -> LabelSetCoverage | None:
    """Add up the windows that have the promise of the newest one; None if there is none."""
    same = [each for each in measured if each.promise == measured[-1].promise]
    if not same:
        return None
    rows = sum(each.rows for each in same)
    return LabelSetCoverage(
        rows=rows,
        covered=sum(each.covered for each in same),
        promise=same[-1].promise,
        mean_size=sum(each.mean_size * each.rows for each in same) / rows,
        classes=_add([each.classes for each in same], CLASSES),
        magnitudes=_add([each.magnitudes for each in same], MAGNITUDE_BINS),
        eras=_add([each.eras for each in same], [str(era) for era in Era]),
    )


def _count(
    covered: npt.NDArray[np.bool_], values: npt.NDArray[np.object_], names: Sequence[str]
) -> dict[str, CoverageCount]:
    counts = {}
    for name in names:
        members = values == name
        if members.any():
            counts[name] = CoverageCount(
                rows=int(members.sum()), covered=int(covered[members].sum())
            )
    return counts


def _add(
    parts: Sequence[Mapping[str, CoverageCount]], names: Sequence[str]
) -> dict[str, CoverageCount]:
    counts = {}
    for name in names:
        found = [part[name] for part in parts if name in part]
        if found:
            counts[name] = CoverageCount(
                rows=sum(each.rows for each in found),
                covered=sum(each.covered for each in found),
            )
    return counts
