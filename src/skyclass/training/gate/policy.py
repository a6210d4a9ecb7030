"""What a challenger needs beyond being nowhere worse, by promotion policy."""

from collections.abc import Sequence

from skyclass.registry.manifest import TrainingSet
from skyclass.registry.verdicts import Check, Outcome
from skyclass.training.gate.comparison import Comparison, check_better
from skyclass.training.parameters import PromotionPolicy

APPROVAL = "left to the approval"
"""Test under the policy `approve` of a challenger that is neither better nor newer."""


def check_policy(
    policy: PromotionPolicy,
    comparisons: Sequence[Comparison],
    challenger: TrainingSet,
    champion: TrainingSet,
) -> Check:
    """Check what the policy requires of a challenger that is not worse.

    Args:
        policy: `if_better` and `never` require a better metric. For `if_not_worse`, newer training
            data suffice. `approve` leaves it to a person.
        comparisons: Comparisons on the hold-outs, at least one.
        challenger: Training set of the challenger.
        champion: Training set of the champion.
    """
    better = check_better(comparisons)
    needs_better = policy in (PromotionPolicy.IF_BETTER, PromotionPolicy.NEVER)
    if needs_better or better.outcome is Outcome.PASSED:
        return better
    newer = _check_newer(challenger, champion)
    if policy is PromotionPolicy.APPROVE and newer.outcome is Outcome.FAILED:
        return newer.model_copy(update={"outcome": Outcome.PASSED, "test": APPROVAL})
    return newer


def _check_newer(challenger: TrainingSet, champion: TrainingSet) -> Check:
    """Check that the challenger has newer nights, or a newer version of the same table."""
    has_newer_nights = challenger.watermark > champion.watermark
    has_newer_version = challenger.table == champion.table and challenger.version > champion.version
    return Check(
        group="policy",
        subject="newest night of the training set (MJD), or its table version",
        test="newer",
        rows=challenger.rows,
        challenger=challenger.watermark,
        champion=champion.watermark,
        outcome=Outcome.PASSED if has_newer_nights or has_newer_version else Outcome.FAILED,
    )
