"""Fits the winner of the search: once to be released, once to be judged across time."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import joblib

from skyclass.registry.manifest import Document, OnnxParity
from skyclass.registry.models import Engine, joblib_engine
from skyclass.registry.releases import JOBLIB_MODEL
from skyclass.training.candidates import CANDIDATES
from skyclass.training.dataset import Dataset
from skyclass.training.export import export
from skyclass.training.search import Search, search

logger = logging.getLogger(__name__)

_TEMPORAL_MODEL = "temporal.joblib"
_SUMMARY = "fitted.json"


class Fitted(Document):
    """What came of a training: how the candidates fared, and whether ONNX agrees."""

    search: Search
    parity: OnnxParity


@dataclass(frozen=True)
class Models:
    """The fitted models.

    Attributes:
        summary: What came of the training.
        released: Fitted on all rows but the random hold-out.
        temporal: The same algorithm fitted on the older nights only, if they have every class.
    """

    summary: Fitted
    released: Engine
    temporal: Engine | None


def fit(dataset: Dataset, names: Sequence[str], seed: int, folder: Path) -> Fitted:
    """Search among candidates and fit the winner.

    Args:
        dataset: The rows; neither hold-out is fitted on.
        names: The candidates.
        seed: Makes all of it repeatable.
        folder: Where the models are written.
    """
    features, labels = dataset.features, dataset.labels
    train = ~dataset.random_holdout
    found = search(features[train], labels[train], names, seed)
    logger.info("fitting %s on %d rows", found.winner, train.sum())
    model = CANDIDATES[found.winner](seed).fit(features[train], labels[train])
    parity = export(model, features[dataset.random_holdout], folder)
    older = ~dataset.temporal_holdout
    if set(labels[older]) == set(labels):
        temporal = CANDIDATES[found.winner](seed).fit(features[older], labels[older])
        joblib.dump(temporal, folder / _TEMPORAL_MODEL)
    fitted = Fitted(search=found, parity=parity)
    (folder / _SUMMARY).write_bytes(fitted.to_bytes())
    return fitted


def load_models(folder: Path) -> Models:
    """Read the models that `fit` wrote."""
    temporal = folder / _TEMPORAL_MODEL
    return Models(
        summary=Fitted.model_validate_json((folder / _SUMMARY).read_bytes()),
        released=joblib_engine(joblib.load(folder / JOBLIB_MODEL)),
        temporal=joblib_engine(joblib.load(temporal)) if temporal.exists() else None,
    )
