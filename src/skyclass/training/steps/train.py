"""Step 3: search among the candidates and fit the winner."""

from pathlib import Path

from skyclass.survey.features import Mode
from skyclass.training.candidates import parse_candidates
from skyclass.training.dataset import Dataset
from skyclass.training.fit import Fitted, fit


def train_step(dataset: Path, mode: Mode, candidates: str, seed: int, folder: Path) -> Fitted:
    """Search among the candidates and fit the winner.

    Args:
        dataset: What `validate_step` wrote.
        mode: The mode to train.
        candidates: Names joined by commas, or `all`.
        seed: Makes the search and the fits repeatable.
        folder: Where the models are written.
    """
    return fit(Dataset.load(dataset, mode), parse_candidates(candidates), seed, folder)
