"""Rollbacks by the retraining loop, each made once and recorded once.

Until a rollback has succeeded, its decision is stored as that of a failed one. If the job is killed
between the promotion of the parent and the last write, the next job finds the promotion and
completes the decision.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from skyclass.errors import MonitoringError, PromotionError, ReleaseError
from skyclass.monitoring.decisions import Action, Cause, Decision
from skyclass.monitoring.documents import save_document
from skyclass.promotion.champions import ChampionStore
from skyclass.promotion.lineage import find_parent, find_promoted
from skyclass.registry.releases import Registry, Release
from skyclass.storage.s3 import ObjectStore

_FAILURE = ", but its rollback "
"""Separates the reason of a rollback from that of its failure."""


def roll_back(
    store: ObjectStore,
    champions: ChampionStore,
    champion: Release,
    parent: str,
    decision: Decision,
) -> None:
    """Make the parent champion again, and store the decision.

    Args:
        store: The object store.
        champions: Where the champion is rolled back.
        champion: The champion that the decision is about.
        parent: Id of the release that it replaced.
        decision: The decision to roll back.

    Raises:
        MonitoringError: Another release has become champion; nothing is stored.
        PromotionError: The parent cannot be served; the decision records it, too.
        ReleaseError: The parent is damaged; the decision records it, too.
        SkyclassError: The object store or the Kubernetes API failed.
    """
    try:
        target = Registry(store).read(champion.mode, parent)
        if champions.get_champion(champion.mode) != champion:
            raise MonitoringError(
                f"release {champion.id[:12]} was replaced as champion during the decision: it is "
                "not rolled back; the next job decides again"
            )
        save_document(store, _add_failure(decision, "was interrupted or is in progress"))
        _promote(champions, target, decision)
    except (PromotionError, ReleaseError) as error:
        save_document(store, _add_failure(decision, f"failed: {error}"))
        raise
    save_document(store, decision)


def complete_rollbacks(
    store: ObjectStore, champions: ChampionStore, champion: Release, decisions: Sequence[Decision]
) -> list[Decision]:
    """Record the success of each rollback whose job ended before it recorded that.

    Args:
        store: The object store.
        champions: Where the champion is rolled back.
        champion: The current champion.
        decisions: All decisions about its mode, oldest first.

    Returns:
        The decisions, of which some are completed.
    """
    completed = list(decisions)
    failed = [n for n, each in enumerate(decisions) if each.cause is Cause.ROLLBACK_FAILED]
    promotions = champions.list_promotions(champion.mode) if failed else []
    # Newest first: a release that is served, but not recorded, is the outcome of the last attempt.
    for number in reversed(failed):
        decision = decisions[number]
        reason = decision.reason.partition(_FAILURE)[0]
        update = {"action": Action.ROLL_BACK, "cause": Cause.WORSE_THAN_PARENT, "reason": reason}
        succeeded = decision.model_copy(update=update)
        if not find_promoted(promotions, make_run_id(decision.window_end)):
            is_served = champion.id == find_parent(promotions, decision.champion)
            if not is_served or promotions[-1].to_release != decision.champion:
                continue
            # On a cluster, the parent is served before its promotion is recorded.
            _promote(champions, champion, succeeded)
            promotions = champions.list_promotions(champion.mode)
        save_document(store, succeeded)
        completed[number] = succeeded
    return completed


def make_run_id(window_end: datetime) -> str:
    """Return the run id in the promotion event of the rollback that a window decides."""
    return f"rollback-by-monitoring-{window_end.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _promote(champions: ChampionStore, target: Release, decision: Decision) -> None:
    run_id = make_run_id(decision.window_end)
    champions.promote(target, f"rolled back: {decision.reason}", run_id)


def _add_failure(decision: Decision, failure: str) -> Decision:
    reason = f"{decision.reason}{_FAILURE}{failure}"
    update = {"action": Action.WAIT, "cause": Cause.ROLLBACK_FAILED, "reason": reason}
    return decision.model_copy(update=update)
