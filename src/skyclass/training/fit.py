"""Fits the winner of the search: once for the release, once for the temporal hold-out."""

import logging
from collections.abc import Sequence
from pathlib import Path

import joblib
import numpy as np
import numpy.typing as npt
from joblib import parallel_config
from sklearn.base import ClassifierMixin

from skyclass.registry.libraries import get_library_versions
from skyclass.training.candidates import CANDIDATES
from skyclass.training.dataset import Dataset
from skyclass.training.export import export
from skyclass.training.fitted_models import TEMPORAL_MODEL
from skyclass.training.input_plan import compute_masked_features, plan_inputs
from skyclass.training.recalibration import calibrate, choose_calibration
from skyclass.training.results import FitSummary
from skyclass.training.search import SEARCH_SECONDS, sample_rows, search

logger = logging.getLogger(__name__)


def fit(
    dataset: Dataset,
    names: Sequence[str],
    seed: int,
    folder: Path,
    budget_seconds: float = SEARCH_SECONDS,
) -> FitSummary:
    """Select candidate, settings and calibration by cross-validation, fit the model and export it.

    Args:
        dataset: The rows; no model is fitted on the hold-out that it is evaluated on.
        names: Candidates to compare, keys of `CANDIDATES`.
        seed: Seed of the masking, the search and the fits.
        folder: Output folder for the models.
        budget_seconds: Budget of the search for settings beyond the default ones.

    Raises:
        TrainingError: The model is larger than a release may be.
    """
    plan = plan_inputs(dataset, names)
    features, labels = compute_masked_features(dataset, plan, seed), dataset.labels
    train = ~dataset.random_holdout
    found = search(features[train], labels[train], plan.candidates, seed, budget_seconds)
    candidate, settings = CANDIDATES[found.winner], found.selected.settings
    calibration = choose_calibration(
        lambda: candidate.make(seed, settings),
        candidate.calibrations,
        features[train],
        labels[train],
        seed,
    )

    def fit_rows(rows: npt.NDArray[np.bool_]) -> ClassifierMixin:
        model = calibrate(candidate.make(seed, settings), calibration.method, seed)
        sample = features[rows], labels[rows]
        if candidate.max_rows:
            sample = sample_rows(*sample, candidate.max_rows, seed)
        logger.info("fitting %s on %d rows", found.winner, len(sample[1]))
        with parallel_config("threading", n_jobs=-1):
            return model.fit(*sample)

    model = fit_rows(train)
    missing = bool(np.isnan(features[train]).any())
    parity = export(model, features[dataset.random_holdout], folder, missing)
    if dataset.has_temporal_model:
        joblib.dump(fit_rows(~dataset.temporal_holdout), folder / TEMPORAL_MODEL)
    summary = FitSummary(
        search=found,
        calibration=calibration,
        parity=parity,
        libraries=get_library_versions(),
        inputs=plan,
    )
    summary.save(folder)
    return summary
