"""Fits the winner of the search: once for the release, once for the temporal hold-out."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import joblib

from skyclass.registry.libraries import get_library_versions
from skyclass.registry.models import Engine, make_joblib_engine
from skyclass.registry.releases import JOBLIB_MODEL
from skyclass.training.candidates import CANDIDATES
from skyclass.training.dataset import Dataset
from skyclass.training.export import export
from skyclass.training.results import FitSummary
from skyclass.training.search import search

logger = logging.getLogger(__name__)

_TEMPORAL_MODEL = "temporal.joblib"


@dataclass(frozen=True)
class FittedModels:
    """Models read back from the folder that `fit` wrote.

    Attributes:
        summary: Outcome of the search and of the ONNX parity check.
        release: Fitted on all rows but the random hold-out.
        temporal: The same algorithm fitted on the older nights only. None if these nights lack a
            class.
    """

    summary: FitSummary
    release: Engine
    temporal: Engine | None


def fit(dataset: Dataset, names: Sequence[str], seed: int, folder: Path) -> FitSummary:
    """Select a candidate by cross-validation, fit it and export it.

    Args:
        dataset: The rows; no model is fitted on the hold-out that it is evaluated on.
        names: Candidates to compare, keys of `CANDIDATES`.
        seed: Seed of the search and of the fits.
        folder: Output folder for the models.
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
    summary = FitSummary(search=found, parity=parity, libraries=get_library_versions())
    summary.save(folder)
    return summary


def load_fitted_models(folder: Path) -> FittedModels:
    """Load the models that `fit` wrote."""
    temporal = folder / _TEMPORAL_MODEL
    return FittedModels(
        summary=FitSummary.load(folder),
        release=make_joblib_engine(joblib.load(folder / JOBLIB_MODEL)),
        temporal=make_joblib_engine(joblib.load(temporal)) if temporal.exists() else None,
    )
