"""The check of a training run's parameters, before anything is submitted or ingested."""

from skyclass.errors import TrainingError
from skyclass.training.candidates import parse_candidates
from skyclass.training.parameters import parse_mode, parse_promotion, parse_text

_MAX_SEED = 2**32 - 1
"""Largest seed that scikit-learn accepts."""


def check_parameters(
    candidates: str,
    mode: str,
    newest_rows: int,
    promotion: str,
    reason: str,
    search_seconds: int,
    seed: int,
) -> None:
    """Check all parameters of a run but the source, which only an ingest can check.

    Args:
        candidates: Names separated by commas, or `all`.
        mode: `spectroscopic` or `photometric`.
        newest_rows: Maximum number of rows to train on.
        promotion: `if_better`, `if_not_worse`, `approve` or `never`.
        reason: Reason for the run.
        search_seconds: Budget of the search for settings beyond the default ones.
        seed: Seed of all random numbers.

    Raises:
        TrainingError: A value is unknown or out of range.
    """
    parse_candidates(candidates)
    parse_mode(mode)
    parse_promotion(promotion)
    parse_text("reason", reason)
    if newest_rows < 1:
        raise TrainingError(f"newest_rows is {newest_rows}: choose 1 or more")
    if search_seconds < 0:
        raise TrainingError(f"search_seconds is {search_seconds}: choose 0 or more")
    if not 0 <= seed <= _MAX_SEED:
        raise TrainingError(f"seed is {seed}: choose 0 to {_MAX_SEED}")
