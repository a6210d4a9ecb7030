"""Selection of the candidate to fit, by stratified cross-validation.

Candidates whose macro-F1 is within one standard error of the best are tied; of these the one with
the lowest log-loss wins, because monitoring and users with a threshold rely on the probabilities.
Source of the rule: Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning,
section 7.10.
"""

import logging
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedKFold, cross_validate, train_test_split

from skyclass.training.candidates import CANDIDATES
from skyclass.training.results import FOLDS, CandidateScore, SearchResult

logger = logging.getLogger(__name__)

SEARCH_ROWS = 6_000
"""Enough rows to rank the candidates; a support vector machine costs their square."""


def search(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.object_],
    names: Sequence[str],
    seed: int,
) -> SearchResult:
    """Score candidates by stratified five-fold cross-validation.

    Args:
        features: Shape (n, k). At most `SEARCH_ROWS` rows are used, in a stratified sample.
        labels: Class names, shape (n,).
        names: Candidates to compare, keys of `CANDIDATES`.
        seed: Seed of the sample, the folds and the fits.
    """
    if len(labels) > SEARCH_ROWS:
        features, _, labels, _ = train_test_split(
            features, labels, train_size=SEARCH_ROWS, stratify=labels, random_state=seed
        )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    scores = []
    for name in names:
        start = time.perf_counter()
        results = cross_validate(
            CANDIDATES[name](seed),
            features,
            labels,
            cv=folds,
            scoring={"macro_f1": "f1_macro", "log_loss": "neg_log_loss"},
        )
        macro_f1 = results["test_macro_f1"]
        scores.append(
            CandidateScore(
                candidate=name,
                macro_f1=float(macro_f1.mean()),
                deviation=float(macro_f1.std()),
                log_loss=float(-results["test_log_loss"].mean()),
                seconds=time.perf_counter() - start,
            )
        )
        logger.info("%s: macro-F1 %.4f ± %.4f", name, macro_f1.mean(), macro_f1.std())
    scores.sort(key=lambda score: score.macro_f1, reverse=True)
    return SearchResult(scores=tuple(scores), rows=len(labels))
