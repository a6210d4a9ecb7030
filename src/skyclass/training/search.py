"""Search of the candidate and the settings to fit, by stratified cross-validation.

The default settings of every candidate are scored first, so none is left out. The candidates within
reach of the best are then scored with their smaller settings, and with settings drawn at random,
one each in turn, until the budget is spent. All are scored on the same folds. Those that are tied
are measured as they would be served, and `select` chooses among them.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from joblib import parallel_config
from sklearn.base import ClassifierMixin
from sklearn.model_selection import (
    ParameterGrid,
    ParameterSampler,
    StratifiedKFold,
    cross_validate,
    train_test_split,
)

from skyclass.training.candidates import CANDIDATES
from skyclass.training.search_result import (
    FOLDS,
    CandidateScore,
    SearchResult,
    find_tied,
    select,
)
from skyclass.training.serving_cost import measure_costs

logger = logging.getLogger(__name__)

SEARCH_ROWS = 6_000
"""Enough rows to rank the candidates; a support vector machine costs their square."""

SEARCH_SECONDS = 5.0
"""Budget for settings beyond the default ones."""

MAX_GAP = 2.0
"""Candidates further behind the best, in standard errors of its macro-F1, are not searched:
settings change the probabilities more than the classes."""

MAX_SETTINGS = 5
"""Most settings of a candidate that are scored, the default and the smaller ones included. With a
budget that suffices for all of them, the same settings are tried on any machine."""

Settings = Mapping[str, int | float]


class _Trial(NamedTuple):
    """A score, and the model that was fitted for the first of its folds."""

    score: CandidateScore
    model: ClassifierMixin


def search(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.object_],
    names: Sequence[str],
    seed: int,
    budget_seconds: float = SEARCH_SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> SearchResult:
    """Score candidates and settings by stratified five-fold cross-validation.

    Args:
        features: Shape (n, k). At most `SEARCH_ROWS` rows are used, in a stratified sample.
        labels: Class names, shape (n,).
        names: Candidates to compare, keys of `CANDIDATES`.
        seed: Seed of the sample, the folds, the settings and the fits.
        budget_seconds: No further settings are begun after so long; 0 for the default and the
            smaller ones only.
        clock: Returns seconds.
    """
    features, labels = sample_rows(features, labels, SEARCH_ROWS, seed)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)

    def attempt(name: str, settings: Settings) -> _Trial:
        start = time.perf_counter()
        with parallel_config("threading", n_jobs=-1):
            results = cross_validate(
                CANDIDATES[name].make(seed, settings),
                features,
                labels,
                cv=folds,
                scoring={"macro_f1": "f1_macro", "log_loss": "neg_log_loss"},
                return_estimator=True,
            )
        macro_f1, log_loss = results["test_macro_f1"], -results["test_log_loss"]
        logger.info(
            "%s %s: macro-F1 %.4f ± %.4f, log-loss %.4f",
            name, dict(settings), macro_f1.mean(), macro_f1.std(), log_loss.mean(),
        )  # fmt: skip
        score = CandidateScore(
            candidate=name,
            macro_f1=float(macro_f1.mean()),
            deviation=float(macro_f1.std()),
            log_loss=float(log_loss.mean()),
            seconds=time.perf_counter() - start,
            settings=dict(settings),
            fold_losses=tuple(log_loss.tolist()),
        )
        return _Trial(score, results["estimator"][0])

    trials = [attempt(name, {}) for name in names]
    contenders = _find_contenders([trial.score for trial in trials])
    trials += [
        attempt(name, CANDIDATES[name].smaller) for name in contenders if CANDIDATES[name].smaller
    ]
    start = clock()
    for name, settings in _draw_settings(contenders, seed):
        if clock() - start >= budget_seconds:
            logger.info("the search budget of %g s is spent", budget_seconds)
            break
        trials.append(attempt(name, settings))
    spent_seconds = clock() - start
    tried = _measure_tied(trials, features)
    return SearchResult(
        scores=_select_each(tried, names),
        rows=len(labels),
        tried=tried,
        budget_seconds=budget_seconds,
        spent_seconds=spent_seconds,
    )


def sample_rows(
    features: npt.NDArray[np.float32], labels: npt.NDArray[np.object_], rows: int, seed: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.object_]]:
    """Draw a stratified sample; all rows if there are no more than `rows`."""
    if len(labels) <= rows:
        return features, labels
    features, _, labels, _ = train_test_split(
        features, labels, train_size=rows, stratify=labels, random_state=seed
    )
    return features, labels


def _find_contenders(scores: Sequence[CandidateScore]) -> list[str]:
    best = max(scores, key=lambda score: score.macro_f1)
    reach = best.macro_f1 - MAX_GAP * best.standard_error
    return [score.candidate for score in scores if score.macro_f1 >= reach]


def _measure_tied(
    trials: Sequence[_Trial], features: npt.NDArray[np.float32]
) -> tuple[CandidateScore, ...]:
    """Return all scores, with the costs of those that are tied for the best."""
    tied = find_tied([trial.score for trial in trials])
    models = [trial.model for trial in trials if trial.score in tied]
    costs = iter(measure_costs(models, features))
    return tuple(
        trial.score.model_copy(update={"cost": next(costs)}) if trial.score in tied else trial.score
        for trial in trials
    )


def _select_each(
    tried: Sequence[CandidateScore], names: Sequence[str]
) -> tuple[CandidateScore, ...]:
    """Select the settings of each candidate, those of the winner among all candidates."""
    winner = select(tried)
    others = [name for name in names if name != winner.candidate]
    scores = [select([each for each in tried if each.candidate == name]) for name in others]
    return tuple(sorted([winner, *scores], key=lambda score: score.macro_f1, reverse=True))


def _draw_settings(names: Sequence[str], seed: int) -> Iterator[tuple[str, Settings]]:
    """Yield what differs from the default settings, one choice per candidate in turn."""
    drawn: dict[str, list[Settings]] = {}
    for name in names:
        space, smaller = CANDIDATES[name].space, CANDIDATES[name].smaller
        defaults = CANDIDATES[name].make(seed).get_params()
        count = min(MAX_SETTINGS, len(ParameterGrid(space))) if space else 0
        sample = ParameterSampler(space, count, random_state=seed) if count else []
        changed: list[Settings] = [
            {key: value for key, value in settings.items() if defaults[key] != value}
            for settings in sample
        ]
        new = [settings for settings in changed if settings and settings != smaller]
        drawn[name] = new[: MAX_SETTINGS - (2 if smaller else 1)]
    for number in range(MAX_SETTINGS - 1):
        for name in names:
            if number < len(drawn[name]):
                yield name, drawn[name][number]
