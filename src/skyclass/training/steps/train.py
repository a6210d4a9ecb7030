"""Step 3: select a candidate and fit it."""

from pathlib import Path

from skyclass.survey.features import Mode
from skyclass.training.candidates import parse_candidates
from skyclass.training.dataset import Dataset
from skyclass.training.fit import fit
from skyclass.training.results import FitSummary


def train_step(
    dataset: Path, mode: Mode, candidates: str, search_seconds: float, seed: int, folder: Path
) -> FitSummary:
    """Select a candidate by cross-validation, fit it and export it.

    Args:
        dataset: Output folder of `validate_step`.
        mode: Mode to train.
        candidates: Names separated by commas, or `all`.
        search_seconds: Budget of the search for settings beyond the default ones.
        seed: Seed of the search and of the fits.
        folder: Output folder for the models.

    Raises:
        TrainingError: A candidate is unknown, or the model is too large for a release.
    """
    names = parse_candidates(candidates)
    return fit(Dataset.load(dataset, mode), names, seed, folder, search_seconds)
