"""The gate: whether a release may become the champion.

A release must reach the floors on both hold-outs and in every slice, must be nowhere significantly
worse than the champion on the same rows, and must meet the promotion policy.
"""

from skyclass.registry.verdicts import Check, GateVerdict
from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import ChampionEvaluation, ModelEvaluation
from skyclass.training.gate.comparison import check_not_worse, compare_holdouts, compare_slices
from skyclass.training.gate.floors import (
    check_random_floors,
    check_slice_floors,
    check_temporal_floors,
)
from skyclass.training.gate.policy import check_policy
from skyclass.training.gate.rows import HeldOutRows
from skyclass.training.gate.verdict import decide
from skyclass.training.parameters import DEFAULT_PROMOTION, PromotionPolicy

__all__ = ["check_gate", "collect_checks", "decide"]


def check_gate(
    dataset: Dataset,
    challenger: ModelEvaluation,
    champion: ChampionEvaluation | None,
    policy: PromotionPolicy = DEFAULT_PROMOTION,
) -> GateVerdict:
    """Decide whether a challenger may become the champion.

    Args:
        dataset: The dataset that the challenger was fitted on, with both hold-outs.
        challenger: Its predictions and metrics.
        champion: Predictions of the current champion for the random hold-out, if there is one.
        policy: What the release needs to be promoted.
    """
    checks = collect_checks(dataset, challenger, champion, policy)
    return decide(checks, challenger.random, champion)


def collect_checks(
    dataset: Dataset,
    challenger: ModelEvaluation,
    champion: ChampionEvaluation | None,
    policy: PromotionPolicy = DEFAULT_PROMOTION,
) -> list[Check]:
    """Run all checks of the gate; the arguments are those of `check_gate`.

    Checks from other evidence can be appended before `decide` is called.
    """
    rows = HeldOutRows.from_dataset(dataset)
    probabilities = challenger.random_probabilities
    checks = [*check_random_floors(challenger.random)]
    if challenger.temporal is not None:
        checks += check_temporal_floors(challenger.temporal)
    checks += check_slice_floors(rows, probabilities, dataset.mode)
    if champion is None:
        return checks
    averages = compare_holdouts(rows, probabilities, champion.probabilities)
    slices = compare_slices(rows, probabilities, champion.probabilities)
    return [
        *checks,
        *check_not_worse(averages),
        *check_not_worse(slices),
        check_policy(policy, averages, dataset.summary, champion.training_set),
    ]
