"""Step 3: select a candidate and fit it."""

from pathlib import Path

from skyclass.survey.features import Mode
from skyclass.training.candidates import parse_candidates
from skyclass.training.dataset import Dataset
from skyclass.training.fit import fit
from skyclass.training.results import FitSummary


def train_step(dataset: Path, mode: Mode, candidates: str, seed: int, folder: Path) -> FitSummary:
    """Select a candidate by cross-validation, fit it and export it.

    Args:
        dataset: Output folder of `validate_step`.
        mode: Mode to train.
        candidates: Names separated by commas, or `all`.
        seed: Seed of the search and of the fits.
        folder: Output folder for the models.

    Raises:
        TrainingError: A candidate is unknown.
    """
    return fit(Dataset.load(dataset, mode), parse_candidates(candidates), seed, folder)
