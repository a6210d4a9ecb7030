"""Held-out rows and predictions for tests of the gate."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from skyclass.registry.manifest import TrainingSet
from skyclass.sources.simulated import RELEASE, draw
from skyclass.survey.features import MAGNITUDES, Mode
from skyclass.survey.observation import CLASSES, Era
from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import (
    RANDOM_HOLDOUT,
    ChampionEvaluation,
    ModelEvaluation,
    evaluate,
)

CHAMPION = "c" * 64
Probabilities = npt.NDArray[np.float64]


def make_dataset_of_eras(mode: Mode, rows_per_era: int, version: int = 2, seed: int = 0) -> Dataset:
    """Return a dataset of simulated observations of all eras, in order of time."""
    drawn = [draw(era, 0, rows_per_era, seed).to_pandas() for era in Era]
    frame = pd.concat(drawn).assign(release=RELEASE)
    frame = frame[(frame[list(MAGNITUDES)] > 0).all(axis=1)].sort_values(["mjd", "plate"])
    return Dataset(frame.reset_index(drop=True), make_training_set(frame, version), mode)


def make_training_set(rows: pd.DataFrame, version: int) -> TrainingSet:
    """Return the lineage of rows."""
    return TrainingSet(
        table="s3://nowhere/observations",
        version=version,
        rows=len(rows),
        first_mjd=int(rows["mjd"].min()),
        watermark=int(rows["mjd"].max()),
        synthetic_rows=len(rows),
    )


def make_challenger(dataset: Dataset, probabilities: Probabilities) -> ModelEvaluation:
    """Return the evaluation of predictions for the random hold-out, shape (n, 3)."""
    labels = dataset.labels[dataset.random_holdout]
    found = evaluate(labels, probabilities, dataset.mode, RANDOM_HOLDOUT)
    return ModelEvaluation((found,), probabilities)


def make_champion(dataset: Dataset, probabilities: Probabilities) -> ChampionEvaluation:
    """Return the evaluation of a champion that was trained on an older version of the table."""
    older = make_training_set(dataset.rows, dataset.summary.version - 1)
    evaluation = make_challenger(dataset, probabilities).random
    return ChampionEvaluation(CHAMPION, older, evaluation, probabilities)


def predict_with_errors(
    dataset: Dataset,
    rate: float,
    seed: int = 0,
    confidence: float = 0.95,
    among: npt.NDArray[np.bool_] | None = None,
) -> Probabilities:
    """Return predictions for the random hold-out that are wrong at a rate.

    Args:
        dataset: The dataset.
        rate: Share of the rows that get a wrong class.
        seed: Selects the rows.
        confidence: Probability of the predicted class.
        among: Rows of the hold-out that may be wrong; None for all.
    """
    labels = dataset.labels[dataset.random_holdout]
    index = np.argmax([labels == name for name in CLASSES], axis=0)
    is_wrong = np.random.default_rng(seed).random(len(index)) < rate
    if among is not None:
        is_wrong &= among
    predicted = np.where(is_wrong, (index + 1) % len(CLASSES), index)
    probabilities = np.full((len(index), len(CLASSES)), (1 - confidence) / 2)
    probabilities[np.arange(len(index)), predicted] = confidence
    return probabilities
