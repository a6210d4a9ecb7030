"""Releases that are kept in memory: training and prediction."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from skyclass.ingest.validation import validate_rows
from skyclass.registry.manifest import TrainingSet
from skyclass.registry.models import Engine, make_joblib_engine
from skyclass.sources.files import FileSource
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import most_probable_classes
from skyclass.tables.log.schema import PROBABILITIES
from skyclass.training.candidates import CANDIDATES
from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import (
    RANDOM_HOLDOUT,
    TEMPORAL_HOLDOUT,
    ModelEvaluation,
    evaluate,
)

_CANDIDATE = "hist_gradient_boosting"


@dataclass(frozen=True)
class Model:
    """A release.

    Attributes:
        id: Id of the release.
        engine: Computes probabilities from features.
        dataset: Rows that it was trained and evaluated on.
        evaluation: Metrics on both hold-outs.
        reference: Its predictions for the random hold-out, with labels.
    """

    id: str
    engine: Engine
    dataset: Dataset
    evaluation: ModelEvaluation
    reference: pd.DataFrame


def read_labelled_observations(path: Path, mode: Mode) -> pd.DataFrame:
    """Read the labelled observations of a file with all inputs of a mode, ordered by night."""
    rows = pd.concat(
        validate_rows(batch.rows).valid.to_pandas()
        for batch in FileSource(path, str(path)).read_batches(0)
    )
    complete = rows[rows[list(INPUTS[mode])].gt(-9999).all(axis=1)].dropna(subset=["class"])
    return complete.sort_values(["mjd", "plate", "fiber_id"], ignore_index=True)


def train(rows: pd.DataFrame, mode: Mode, version: int) -> Model:
    """Train a release and evaluate it on both hold-outs, as the training pipeline does.

    Args:
        rows: Labelled rows, ordered by night.
        mode: Mode of the release.
        version: Version of the observations table that has these rows.
    """
    dataset = make_dataset(rows, mode, version)
    held_out, older = dataset.random_holdout, ~dataset.temporal_holdout
    engine = _fit(dataset, ~held_out)
    probabilities = engine(dataset.features[held_out])
    evaluations = [evaluate(dataset.labels[held_out], probabilities, mode, RANDOM_HOLDOUT)]
    if dataset.has_temporal_model:
        temporal = _fit(dataset, older)(dataset.features[~older])
        evaluations.append(evaluate(dataset.labels[~older], temporal, mode, TEMPORAL_HOLDOUT))
    return Model(
        id=hashlib.sha256(f"{mode} {version}".encode()).hexdigest(),
        engine=engine,
        dataset=dataset,
        evaluation=ModelEvaluation(tuple(evaluations), probabilities),
        reference=predict(engine, dataset.rows[held_out], mode),
    )


def predict(engine: Engine, rows: pd.DataFrame, mode: Mode) -> pd.DataFrame:
    """Return the rows with predicted classes and probabilities."""
    probabilities = engine(make_dataset(rows, mode, 0).features)
    return rows.assign(
        predicted=most_probable_classes(probabilities),
        **dict(zip(PROBABILITIES, probabilities.T, strict=True)),
    )


def make_dataset(rows: pd.DataFrame, mode: Mode, version: int) -> Dataset:
    """Return rows as the dataset of a training run."""
    summary = TrainingSet(
        table="replay",
        version=version,
        rows=len(rows),
        first_mjd=int(rows["mjd"].min()),
        watermark=int(rows["mjd"].max()),
        synthetic_rows=0,
    )
    return Dataset(rows.reset_index(drop=True), summary, mode)


def _fit(dataset: Dataset, chosen: npt.NDArray[np.bool_]) -> Engine:
    estimator = CANDIDATES[_CANDIDATE].make(0)
    return make_joblib_engine(estimator.fit(dataset.features[chosen], dataset.labels[chosen]))
