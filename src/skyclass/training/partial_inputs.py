"""Evaluation of a model on rows from which inputs were removed."""

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, f1_score

from skyclass.registry.manifest import ALL_GROUPS, BandScores, GroupScores
from skyclass.registry.models import Engine
from skyclass.survey.features import InputGroup, find_groups, make_features
from skyclass.survey.observation import CLASSES, most_probable_classes
from skyclass.training.dataset import Dataset
from skyclass.training.masking import remove_band, remove_group
from skyclass.training.results import InputPlan

MIN_BAND_ACCURACY = 0.80
MIN_BAND_MACRO_F1 = 0.74
"""Scores without a band from which a release predicts rows that lack it. They are those that every
photometric release must reach on complete rows: a caller cannot see which inputs were missing."""

Probabilities = npt.NDArray[np.float64]


def evaluate_groups(
    dataset: Dataset, engine: Engine, plan: InputPlan, probabilities: Probabilities
) -> dict[str, GroupScores]:
    """Evaluate what each group of optional inputs is worth, on the random hold-out.

    Args:
        dataset: The dataset of the run.
        engine: The fitted model.
        plan: What it was fitted on.
        probabilities: Its predictions for the random hold-out, shape (n, 3).

    Returns:
        Scores of the groups that some of these rows have; of several groups, also those of
        `ALL_GROUPS`.
    """
    held_out, mode = dataset.random_holdout, dataset.mode
    inputs, labels = dataset.filled_inputs[held_out], dataset.labels[held_out]
    present = find_groups(make_features(inputs, mode, plan.features), plan.features)
    compared: dict[str, tuple[InputGroup, ...]] = {
        str(group): (group,) for group in plan.groups if present[group].any()
    }
    if len(compared) > 1:
        compared[ALL_GROUPS] = plan.groups
    scores = {}
    for name, groups in compared.items():
        rows = np.logical_or.reduce([present[group] for group in groups])
        without = inputs[rows]
        for group in groups:
            without = remove_group(without, mode, group)
        accuracy, macro_f1 = _score(labels[rows], probabilities[rows])
        accuracy_without, macro_f1_without = _score(
            labels[rows], engine(make_features(without, mode, plan.features))
        )
        scores[name] = GroupScores(
            rows=int(rows.sum()),
            accuracy=accuracy,
            macro_f1=macro_f1,
            accuracy_without=accuracy_without,
            macro_f1_without=macro_f1_without,
        )
    return scores


def evaluate_missing_bands(
    dataset: Dataset, engine: Engine, plan: InputPlan
) -> dict[str, BandScores]:
    """Evaluate a model on the random hold-out without the bands that it learned to do without.

    Returns:
        Scores of the bands without which accuracy and macro-F1 reach `MIN_BAND_ACCURACY` and
        `MIN_BAND_MACRO_F1`.
    """
    held_out, mode = dataset.random_holdout, dataset.mode
    inputs, labels = dataset.filled_inputs[held_out], dataset.labels[held_out]
    scores = {}
    for band in plan.bands:
        features = make_features(remove_band(inputs, mode, band), mode, plan.features)
        accuracy, macro_f1 = _score(labels, engine(features))
        if accuracy >= MIN_BAND_ACCURACY and macro_f1 >= MIN_BAND_MACRO_F1:
            scores[band] = BandScores(rows=len(labels), accuracy=accuracy, macro_f1=macro_f1)
    return scores


def _score(labels: npt.NDArray[np.object_], probabilities: Probabilities) -> tuple[float, float]:
    predicted = most_probable_classes(probabilities)
    macro_f1 = f1_score(labels, predicted, labels=CLASSES, average="macro", zero_division=0)
    return float(accuracy_score(labels, predicted)), float(macro_f1)
