"""Paired tests of two models on the same rows, and the correction for several tests.

Every test is one-sided and returns the p-values of both directions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, ttest_rel

from skyclass.registry.manifest import MAX_FORMAT_DIFFERENCE

RESAMPLES = 2_000
"""Bootstrap samples: the smallest p-value is 0.0005."""
MIN_PROBABILITY = 0.001
"""Smaller probabilities count as this one in the test of the log-loss.

Unpruned trees predict probabilities of zero, whose loss is infinite: a single row would decide.
"""

_SEED = 0


@dataclass(frozen=True)
class PairedTest:
    """Outcome of a paired test.

    Attributes:
        name: Name of the test.
        rows: Rows that both models predicted.
        challenger: Metric of the challenger.
        champion: Metric of the champion.
        p_worse: Probability of a difference at least as bad if the challenger is not worse.
        p_better: Probability of a difference at least as good if the challenger is not better.
        only_challenger: Rows that only the challenger classifies correctly, where they are counted.
        only_champion: Rows that only the champion classifies correctly, where they are counted.
    """

    name: str
    rows: int
    challenger: float
    champion: float
    p_worse: float
    p_better: float
    only_challenger: int | None = None
    only_champion: int | None = None


def compare_correct(
    challenger: npt.NDArray[np.bool_], champion: npt.NDArray[np.bool_]
) -> PairedTest:
    """Compare the shares of correct predictions by McNemar's exact test.

    Args:
        challenger: Whether the challenger is correct, shape (n,).
        champion: Whether the champion is, shape (n,).
    """
    only_challenger = int((challenger & ~champion).sum())
    only_champion = int((champion & ~challenger).sum())
    discordant = only_challenger + only_champion
    p_worse, p_better = 1.0, 1.0
    if discordant:
        p_worse = binomtest(only_champion, discordant, alternative="greater").pvalue
        p_better = binomtest(only_challenger, discordant, alternative="greater").pvalue
    return PairedTest(
        name="McNemar",
        rows=len(challenger),
        challenger=float(challenger.mean()),
        champion=float(champion.mean()),
        p_worse=float(p_worse),
        p_better=float(p_better),
        only_challenger=only_challenger,
        only_champion=only_champion,
    )


def compare_log_loss(
    labels: npt.NDArray[np.int_],
    challenger: npt.NDArray[np.float64],
    champion: npt.NDArray[np.float64],
) -> PairedTest:
    """Compare the log-loss (nats) by a paired t-test of the rows' losses.

    Models whose probabilities differ by no more than the two formats of one model are equal: the
    rounding of the ONNX format has a bias, which a test would find significant.

    Args:
        labels: Index of the true class, shape (n,).
        challenger: Probabilities of the challenger, shape (n, 3).
        champion: Probabilities of the champion, shape (n, 3).
    """
    rows = np.arange(len(labels))
    loss, champion_loss = (
        -np.log(np.maximum(probabilities[rows, labels], MIN_PROBABILITY))
        for probabilities in (challenger, champion)
    )
    p_worse, p_better = 1.0, 1.0
    if not np.allclose(challenger, champion, rtol=0, atol=MAX_FORMAT_DIFFERENCE):
        p_worse = ttest_rel(loss, champion_loss, alternative="greater").pvalue
        p_better = ttest_rel(loss, champion_loss, alternative="less").pvalue
    return PairedTest(
        name="paired t",
        rows=len(labels),
        challenger=float(loss.mean()),
        champion=float(champion_loss.mean()),
        p_worse=float(p_worse),
        p_better=float(p_better),
    )


def compare_macro_f1(
    labels: npt.NDArray[np.int_],
    challenger: npt.NDArray[np.int_],
    champion: npt.NDArray[np.int_],
) -> PairedTest:
    """Compare the macro-F1 by a paired bootstrap of the rows.

    A resample of the rows is a multinomial draw of the counts of the 27 combinations of true class
    and two predicted classes, which costs the same for any number of rows.

    Args:
        labels: Index of the true class, shape (n,).
        challenger: Index of the class that the challenger predicts, shape (n,).
        champion: Index of the class that the champion predicts, shape (n,).
    """
    combinations = np.ravel_multi_index((labels, challenger, champion), (3, 3, 3))
    counts = np.bincount(combinations, minlength=27)
    draws = np.random.default_rng(_SEED).multinomial(
        len(labels), counts / len(labels), size=RESAMPLES
    )
    resampled = _compute_macro_f1(draws)
    gains = resampled[0] - resampled[1]
    values = _compute_macro_f1(counts[np.newaxis])
    return PairedTest(
        name="paired bootstrap",
        rows=len(labels),
        challenger=float(values[0][0]),
        champion=float(values[1][0]),
        p_worse=float((1 + (gains >= 0).sum()) / (1 + RESAMPLES)),
        p_better=float((1 + (gains <= 0).sum()) / (1 + RESAMPLES)),
    )


def correct_holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, by Holm's method.

    Rejecting each hypothesis with a corrected p-value below alpha rejects a true one with
    probability of at most alpha, however the tests depend on each other.
    Source: Holm (1979), Scandinavian Journal of Statistics 6, 65.

    Examples:
        >>> correct_holm([0.03, 0.01, 0.5])
        [0.06, 0.03, 0.5]
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(np.argsort(p_values)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def _compute_macro_f1(
    counts: npt.NDArray[np.int_],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the macro-F1 of both models for counts of the 27 combinations, shape (k, 27)."""
    cube = counts.reshape(-1, 3, 3, 3)
    challenger, champion = (_average_f1(cube.sum(axis=axis)) for axis in (3, 2))
    return challenger, champion


def _average_f1(confusion: npt.NDArray[np.int_]) -> npt.NDArray[np.float64]:
    """Return the macro-F1 of confusion matrices, shape (k, 3, 3); a class without rows is 0."""
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    total = confusion.sum(axis=1) + confusion.sum(axis=2)
    f1: npt.NDArray[np.float64] = (2 * hits / np.maximum(total, 1)).mean(axis=1)
    return f1
