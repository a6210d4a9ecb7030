"""Which candidate is fitted: the best macro-F1 in stratified cross-validation.

Candidates within one standard error of the best are tied, and among them the best probabilities
(log-loss) win: monitoring and every user with a threshold live on those. Source of the rule:
Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning, section 7.10.
"""

import logging
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedKFold, cross_validate, train_test_split

from skyclass.registry.manifest import Document
from skyclass.training.candidates import CANDIDATES

logger = logging.getLogger(__name__)

FOLDS = 5
SEARCH_ROWS = 6_000
"""So many settle the candidates' order; a support vector machine costs their square."""


class Score(Document):
    """How a candidate fared in cross-validation.

    Attributes:
        candidate: Its name.
        macro_f1: Mean macro-F1 over the folds.
        deviation: Standard deviation of that over the folds.
        log_loss: Mean log-loss over the folds (nats).
        seconds: What it cost.
    """

    candidate: str
    macro_f1: float
    deviation: float
    log_loss: float
    seconds: float


class Search(Document):
    """The candidates' scores, the best macro-F1 first, and the rows that they were scored on."""

    scores: tuple[Score, ...]
    rows: int

    @property
    def winner(self) -> str:
        """Name of the candidate with the best probabilities among those tied for the best F1."""
        best = self.scores[0]
        tied_from = best.macro_f1 - best.deviation / FOLDS**0.5
        tied = [score for score in self.scores if score.macro_f1 >= tied_from]
        return min(tied, key=lambda score: score.log_loss).candidate


def search(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.object_],
    names: Sequence[str],
    seed: int,
) -> Search:
    """Score candidates by stratified five-fold cross-validation.

    Args:
        features: Shape (n, k). At most `SEARCH_ROWS` of them are used, drawn by class.
        labels: Class names, shape (n,).
        names: The candidates.
        seed: Makes the draw, the folds and the fits repeatable.
    """
    if len(labels) > SEARCH_ROWS:
        features, _, labels, _ = train_test_split(
            features, labels, train_size=SEARCH_ROWS, stratify=labels, random_state=seed
        )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    scores = []
    for name in names:
        begun = time.perf_counter()
        folded = cross_validate(
            CANDIDATES[name](seed),
            features,
            labels,
            cv=folds,
            scoring={"macro_f1": "f1_macro", "log_loss": "neg_log_loss"},
        )
        macro_f1 = folded["test_macro_f1"]
        scores.append(
            Score(
                candidate=name,
                macro_f1=float(macro_f1.mean()),
                deviation=float(macro_f1.std()),
                log_loss=float(-folded["test_log_loss"].mean()),
                seconds=time.perf_counter() - begun,
            )
        )
        logger.info("%s: macro-F1 %.4f ± %.4f", name, macro_f1.mean(), macro_f1.std())
    scores.sort(key=lambda score: score.macro_f1, reverse=True)
    return Search(scores=tuple(scores), rows=len(labels))
