"""Which inputs and candidates a model is fitted with, decided from the training rows alone."""

import logging
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from skyclass.survey.features import (
    FEATURES,
    GROUP_FEATURES,
    Mode,
    find_groups,
    make_features,
)
from skyclass.survey.observation import CLASSES
from skyclass.training.candidates import CANDIDATES
from skyclass.training.dataset import Dataset
from skyclass.training.masking import OPTIONAL_BANDS, mask_inputs
from skyclass.training.results import GroupCoverage, InputPlan

logger = logging.getLogger(__name__)

MIN_SHARE = 0.1
"""Smallest share of the training rows of each class that must have a group."""
MIN_ROWS = 100
"""Smallest number of these rows: a group that fewer have adds noise."""
MAX_DIFFERENCE = 0.3
"""Largest difference of the shares of two classes. A class that has a group much less often has it
for unusual objects, and masking would discard most measurements of the others."""


def plan_inputs(dataset: Dataset, names: Sequence[str]) -> InputPlan:
    """Choose the features and the candidates of a run.

    Candidates that cannot take missing inputs are left out in photometric mode. If there are no
    others, the model needs all required inputs and uses no optional ones, as in older releases.

    Args:
        dataset: The dataset of the run.
        names: Candidates that were asked for, keys of `CANDIDATES`.
    """
    able = tuple(name for name in names if CANDIDATES[name].handles_missing)
    if dataset.mode is Mode.SPECTROSCOPIC or not able:
        return InputPlan(features=FEATURES[dataset.mode], candidates=tuple(names))
    if left_out := [name for name in names if name not in able]:
        logger.info("not compared, because they take no missing inputs: %s", ", ".join(left_out))
    coverage = tuple(_measure_coverage(dataset))
    for each in coverage:
        logger.info("group %s: %s", each.group, each.reason or "used")
    plan = InputPlan(
        features=FEATURES[dataset.mode],
        candidates=able,
        coverage=coverage,
        bands=OPTIONAL_BANDS[dataset.mode],
    )
    members = (name for group in plan.groups for name in GROUP_FEATURES[group])
    return plan.model_copy(update={"features": (*plan.features, *members)})


def compute_masked_features(
    dataset: Dataset, plan: InputPlan, seed: int
) -> npt.NDArray[np.float32]:
    """Compute the features to fit a model on, shape (n, len(plan.features)).

    Args:
        dataset: The dataset of the run.
        plan: Result of `plan_inputs`.
        seed: Selects the inputs that are removed.
    """
    inputs, mode = dataset.filled_inputs, dataset.mode
    inputs = mask_inputs(inputs, dataset.labels, mode, plan.groups, plan.bands, seed)
    return make_features(inputs, mode, plan.features)


def _measure_coverage(dataset: Dataset) -> Iterator[GroupCoverage]:
    """Yield the groups that rows outside the random hold-out have."""
    names = tuple(name for members in GROUP_FEATURES.values() for name in members)
    train = ~dataset.random_holdout
    features, labels = dataset.compute_features(names)[train], dataset.labels[train]
    for group, has_group in find_groups(features, names).items():
        counts = {name: int(has_group[labels == name].sum()) for name in CLASSES}
        if not any(counts.values()):
            continue
        shares = {name: counts[name] / (labels == name).sum() for name in CLASSES}
        coverage = GroupCoverage(group=group, shares=shares)
        members = features[:, [names.index(each) for each in GROUP_FEATURES[group]]][has_group]
        reason = _find_reason_against(coverage, counts, members)
        yield coverage.model_copy(update={"reason": reason})


def _find_reason_against(
    coverage: GroupCoverage, counts: dict[str, int], features: npt.NDArray[np.float32]
) -> str:
    fewest = min(CLASSES, key=lambda name: counts[name])
    if counts[fewest] < MIN_ROWS:
        return f"only {counts[fewest]} rows of class {fewest} have it, at least {MIN_ROWS} must"
    rarest = min(CLASSES, key=lambda name: coverage.shares[name])
    if coverage.shares[rarest] < MIN_SHARE:
        return f"only {coverage.shares[rarest]:.0%} of the rows of class {rarest} have it"
    if coverage.difference > MAX_DIFFERENCE:
        return f"its presence depends on the class: shares differ by {coverage.difference:.2f}"
    if all(len(np.unique(column[~np.isnan(column)])) <= 1 for column in features.T):
        return "all rows have the same values"
    return ""
