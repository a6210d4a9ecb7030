"""The scores of a search, and the selection among them: of tied models, the smallest and faster.

Source of the rule: Breiman, Friedman, Olshen and Stone (1984), Classification and Regression Trees,
section 3.4.3: of the models within one standard error of the best, take the simplest. Here the
error is that of the paired difference over the folds, and the simplest has the smallest file. Sizes
are exact. Times are not: two machines select different models if the smallest is excluded as slower
on one of them only.

It is separate from the search, so that reading a result does not import scikit-learn.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from skyclass.registry.documents import Document
from skyclass.registry.preference import Preference, ServingCost

FOLDS = 5
"""Folds of the cross-validation."""

SLOWER_RATIO = 1.25
"""A model is slower than the best one if it takes more than this many times its time: measured
times differ by as much."""

MIN_MILLISECONDS = 1.0
"""Shorter times for 1,000 rows count as this one: the rest of such a request takes longer."""


class CandidateScore(Document):
    """Cross-validated metrics of one candidate with one choice of settings.

    Attributes:
        candidate: Key of `CANDIDATES`.
        macro_f1: Mean macro-F1 over the folds.
        deviation: Standard deviation of the macro-F1 over the folds.
        log_loss: Mean log-loss over the folds (nats).
        seconds: Duration of the cross-validation.
        settings: What differs from the default settings of the candidate.
        fold_losses: Log-loss of each fold (nats); all scores of a search have the same folds.
        cost: Cost where it is served; measured for those that are tied.
    """

    candidate: str
    macro_f1: float
    deviation: float
    log_loss: float
    seconds: float
    settings: dict[str, int | float] = Field(default_factory=dict)
    fold_losses: tuple[float, ...] = ()
    cost: ServingCost | None = None

    @property
    def standard_error(self) -> float:
        """Standard error of the macro-F1."""
        return self.deviation / FOLDS**0.5

    def compare_loss(self, other: "CandidateScore") -> tuple[float, float]:
        """Return by how much its log-loss is higher, and the standard error of the difference."""
        if not (self.fold_losses and other.fold_losses):  # a result of an older version
            return self.log_loss - other.log_loss, 0.0
        differences = np.subtract(self.fold_losses, other.fold_losses)
        return float(differences.mean()), float(differences.std() / FOLDS**0.5)


def find_best(scores: Sequence[CandidateScore]) -> CandidateScore:
    """Return the lowest log-loss among those within one standard error of the best macro-F1.

    Monitoring, and users with a threshold, rely on the probabilities.
    """
    best = max(scores, key=lambda score: score.macro_f1)
    tied_from = best.macro_f1 - best.standard_error
    able = [score for score in scores if score.macro_f1 >= tied_from]
    return min(able, key=lambda score: score.log_loss)


def find_tied(scores: Sequence[CandidateScore]) -> list[CandidateScore]:
    """Return the best score, and those that are tied with it.

    They are within one standard error of the best macro-F1, and their log-loss is higher than the
    lowest by no more than one standard error of the paired difference.
    """
    best, top = find_best(scores), max(scores, key=lambda score: score.macro_f1)
    tied_from = top.macro_f1 - top.standard_error
    return [score for score in scores if score.macro_f1 >= tied_from and _is_tied(score, best)]


def select(scores: Sequence[CandidateScore]) -> CandidateScore:
    """Select the smallest of the tied scores that is not slower than the best one.

    Without measured costs, the best score is selected.
    """
    best = find_best(scores)
    if best.cost is None:
        return best
    limit = SLOWER_RATIO * max(best.cost.milliseconds, MIN_MILLISECONDS)
    measured = [(score, score.cost) for score in find_tied(scores) if score.cost]
    fast = [(score, cost) for score, cost in measured if cost.milliseconds <= limit]
    selected, _ = min(fast, key=lambda each: (each[1].size, each[0].log_loss))
    return selected


def _is_tied(score: CandidateScore, best: CandidateScore) -> bool:
    loss, error = score.compare_loss(best)
    return loss <= error


class SearchResult(Document):
    """Outcome of a search.

    Attributes:
        scores: One per candidate, with its selected settings; the best macro-F1 first.
        rows: Number of rows that were cross-validated.
        tried: All settings that were tried, in order. Begins with the default settings of each
            candidate.
        budget_seconds: Budget for settings beyond the default ones.
        spent_seconds: What of it was spent; the last settings that it began may exceed it.
    """

    scores: tuple[CandidateScore, ...]
    rows: int
    tried: tuple[CandidateScore, ...] = ()
    budget_seconds: float = 0
    spent_seconds: float = 0

    @property
    def selected(self) -> CandidateScore:
        """Candidate and settings to fit."""
        return select(self.tried or self.scores)

    @property
    def winner(self) -> str:
        """Name of the candidate to fit."""
        return self.selected.candidate

    @property
    def preference(self) -> Preference | None:
        """Why the selected score is not the best one; None if it is."""
        best, selected = find_best(self.tried or self.scores), self.selected
        if selected == best or not (best.cost and selected.cost):
            return None
        loss, error = selected.compare_loss(best)
        return Preference(
            candidate=best.candidate,
            settings=best.settings,
            loss=loss,
            loss_error=error,
            cost=selected.cost,
            other_cost=best.cost,
        )

    def count_tried(self, candidate: str) -> int:
        """Return how many settings of a candidate were tried."""
        return sum(score.candidate == candidate for score in self.tried)
