"""Judges fitted models on both hold-outs, and makes the reference that monitoring compares with."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from skyclass.registry.manifest import Evaluation
from skyclass.registry.models import LoadedModel
from skyclass.survey.features import INPUTS
from skyclass.survey.observation import KEY, MEASUREMENTS
from skyclass.tables.prediction_log import MAX_REFERENCE_ROWS, PROBABILITIES, REFERENCE_SCHEMA
from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import evaluate, predicted_classes
from skyclass.training.fit import Models
from skyclass.training.gate import Champion

RANDOM_HOLDOUT = "random_holdout"
TEMPORAL_HOLDOUT = "temporal_holdout"


@dataclass(frozen=True)
class Judgement:
    """How good a fitted model is.

    Attributes:
        evaluations: On the random hold-out, then on the temporal one where there is one.
        random_probabilities: The model's answers on the random hold-out, shape (n, 3).
    """

    evaluations: tuple[Evaluation, ...]
    random_probabilities: npt.NDArray[np.float64]

    @property
    def random(self) -> Evaluation:
        """The evaluation on the random hold-out: what the gate goes by."""
        return self.evaluations[0]


def judge_models(dataset: Dataset, models: Models) -> Judgement:
    """Evaluate fitted models on the rows that each has not seen."""
    features, labels = dataset.features, dataset.labels
    held_out = dataset.random_holdout
    probabilities = models.released(features[held_out])
    evaluations = [evaluate(labels[held_out], probabilities, dataset.mode, RANDOM_HOLDOUT)]
    if models.temporal is not None:
        newest = dataset.temporal_holdout
        evaluations.append(
            evaluate(
                labels[newest], models.temporal(features[newest]), dataset.mode, TEMPORAL_HOLDOUT
            )
        )
    return Judgement(tuple(evaluations), probabilities)


def judge_champion(dataset: Dataset, champion: LoadedModel) -> Champion:
    """Evaluate the present champion on the same random hold-out.

    No champion has been trained on those rows: they are held out by their key, for ever.
    """
    held_out = dataset.random_holdout
    probabilities = champion.probabilities(dataset.inputs[held_out])
    evaluation = evaluate(dataset.labels[held_out], probabilities, dataset.mode, RANDOM_HOLDOUT)
    return Champion(champion.release.id, evaluation)


def reference(dataset: Dataset, judgement: Judgement, seed: int) -> pd.DataFrame:
    """The random hold-out with the model's own answers: what production is compared with.

    Returns:
        Columns of `REFERENCE_SCHEMA`, at most `MAX_REFERENCE_ROWS` rows. In photometric mode the
        redshift is null, as it is in that mode's log.
    """
    held_out = dataset.rows.loc[dataset.random_holdout, [*KEY, *MEASUREMENTS, "class"]]
    unseen = [name for name in MEASUREMENTS if name not in INPUTS[dataset.mode]]
    probabilities = judgement.random_probabilities
    rows = held_out.assign(
        **dict.fromkeys(unseen, np.nan),
        predicted=predicted_classes(probabilities),
        **dict(zip(PROBABILITIES, probabilities.T, strict=True)),
    )[REFERENCE_SCHEMA.names]
    if len(rows) > MAX_REFERENCE_ROWS:
        rows = rows.sample(MAX_REFERENCE_ROWS, random_state=seed).sort_index()
    return rows
