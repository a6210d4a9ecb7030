"""Fixtures of the training tests."""

from pathlib import Path

import pytest

from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import ModelEvaluation, evaluate_models
from skyclass.training.fitted_models import load_fitted_models


@pytest.fixture(scope="session")
def evaluation(dataset: Dataset, models_folder: Path) -> ModelEvaluation:
    """Metrics of the decision tree that was fitted on the small dataset."""
    return evaluate_models(dataset, load_fitted_models(models_folder))
