"""Comparison of a challenger with the champion, on the same rows of the random hold-out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skyclass.registry.verdicts import SIGNIFICANCE, Check, Outcome
from skyclass.training.gate.paired import (
    PairedTest,
    compare_correct,
    compare_log_loss,
    compare_macro_f1,
    correct_holm,
)
from skyclass.training.gate.rows import MIN_ROWS, PLACES, HeldOutRows, find_slices

MARGINS: Mapping[str, float] = {
    "accuracy": 0.002,
    "macro-F1": 0.004,
    "log-loss": 0.01,
    "recall": 0.02,
}
"""Smallest differences that count as worse. On many rows, smaller ones are significant too."""

BETTER_SIGNIFICANCE = 0.05
"""Upper bound of the corrected p-value at which the challenger is better in a comparison.

It is larger than `SIGNIFICANCE`, because a wrong promotion of an equal release only costs a
rollout. A wrong rejection leaves an older release in service."""


@dataclass(frozen=True)
class Comparison:
    """A metric of both models on the same rows.

    Attributes:
        group: Group of the check.
        subject: What was compared: a metric, or the name of a slice.
        metric: Key of `MARGINS`.
        test: The paired test.
    """

    group: str
    subject: str
    metric: str
    test: PairedTest

    @property
    def limit(self) -> float:
        """Value from which the challenger counts as worse, if the test is significant."""
        margin = MARGINS[self.metric]
        return self.test.champion + (margin if self.metric == "log-loss" else -margin)

    @property
    def exceeds_margin(self) -> bool:
        """Whether the challenger is worse by at least the margin."""
        if self.metric == "log-loss":
            return self.test.challenger >= self.limit
        return self.test.challenger <= self.limit


def compare_holdouts(
    rows: HeldOutRows,
    challenger: npt.NDArray[np.float64],
    champion: npt.NDArray[np.float64],
) -> list[Comparison]:
    """Compare accuracy, macro-F1 and log-loss on the random hold-out and on its newest nights.

    The newest nights are left out if they have fewer than `MIN_ROWS` rows.

    Args:
        rows: The rows.
        challenger: Probabilities of the challenger, shape (n, 3).
        champion: Probabilities of the champion, shape (n, 3).
    """
    chosen = {"random_holdout": np.ones(len(rows.labels), dtype=bool)}
    if rows.is_newest.sum() >= MIN_ROWS:
        chosen["temporal_holdout"] = rows.is_newest
    return [
        comparison
        for group, members in chosen.items()
        for comparison in _compare_metrics(
            group, rows.labels[members], challenger[members], champion[members]
        )
    ]


def compare_slices(
    rows: HeldOutRows,
    challenger: npt.NDArray[np.float64],
    champion: npt.NDArray[np.float64],
) -> list[Comparison]:
    """Compare the recall of the class in each slice.

    Args:
        rows: The rows.
        challenger: Probabilities of the challenger, shape (n, 3).
        champion: Probabilities of the champion, shape (n, 3).
    """
    correct = [each.argmax(axis=1) == rows.labels for each in (challenger, champion)]
    return [
        Comparison(
            "slice",
            part.name,
            "recall",
            compare_correct(correct[0][part.members], correct[1][part.members]),
        )
        for part in find_slices(rows)
    ]


def check_not_worse(comparisons: Sequence[Comparison]) -> list[Check]:
    """Check that the challenger is nowhere worse than the champion.

    It is worse where the metric differs by at least the margin, and the p-value, corrected for the
    number of comparisons, is below `SIGNIFICANCE`.
    """
    corrected = correct_holm([each.test.p_worse for each in comparisons])
    return [
        _make_check(each, p_value, each.exceeds_margin and p_value < SIGNIFICANCE)
        for each, p_value in zip(comparisons, corrected, strict=True)
    ]


def check_better(comparisons: Sequence[Comparison]) -> Check:
    """Check that the challenger is better than the champion in at least one comparison.

    Args:
        comparisons: Comparisons on the hold-outs, at least one.
    """
    corrected = correct_holm([each.test.p_better for each in comparisons])
    best, p_value = min(zip(comparisons, corrected, strict=True), key=lambda each: each[1])
    check = _make_check(best, p_value, failed=p_value >= BETTER_SIGNIFICANCE)
    return check.model_copy(
        update={
            "group": "policy",
            "subject": f"{best.metric} on {PLACES[best.group]}",
            "test": f"{best.test.name}, better",
            "limit": None,
        }
    )


def _compare_metrics(
    group: str,
    labels: npt.NDArray[np.int_],
    challenger: npt.NDArray[np.float64],
    champion: npt.NDArray[np.float64],
) -> Iterator[Comparison]:
    predicted, by_champion = challenger.argmax(axis=1), champion.argmax(axis=1)
    tests = {
        "accuracy": compare_correct(predicted == labels, by_champion == labels),
        "macro-F1": compare_macro_f1(labels, predicted, by_champion),
        "log-loss": compare_log_loss(labels, challenger, champion),
    }
    for metric, test in tests.items():
        yield Comparison(group, metric, metric, test)


def _make_check(comparison: Comparison, p_value: float, failed: bool) -> Check:
    test = comparison.test
    return Check(
        group=comparison.group,
        subject=comparison.subject,
        test=test.name,
        rows=test.rows,
        challenger=test.challenger,
        champion=test.champion,
        limit=comparison.limit,
        p_value=p_value,
        only_challenger=test.only_challenger,
        only_champion=test.only_champion,
        outcome=Outcome.FAILED if failed else Outcome.PASSED,
    )
