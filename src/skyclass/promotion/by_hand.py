"""Promotions that a person decides: of releases that wait, were rejected, or are promoted again.

A decision is recorded before the promotion. If the promotion fails or is interrupted, repeating it
completes it with the recorded decision.
"""

from skyclass.errors import PromotionError
from skyclass.promotion.approvals import (
    Approval,
    ApprovalDecision,
    ApprovalLog,
    ApprovalState,
)
from skyclass.promotion.champions import ChampionStore
from skyclass.promotion.events import Promotion
from skyclass.registry.releases import Release


def promote(
    champions: ChampionStore, approvals: ApprovalLog, release: Release, reason: str, run_id: str
) -> Promotion:
    """Promote a release that needs no approval, or has one.

    Args:
        champions: The champions.
        approvals: Requests and decisions.
        release: The release.
        reason: Recorded with the promotion, unless an approval has its own.
        run_id: Who promotes; recorded likewise.

    Raises:
        PromotionError: The release needs an approval, or its promotion failed.
    """
    events = champions.list_promotions(release.mode)
    if any(event.to_release == release.id for event in events):
        return champions.promote(release, reason, run_id)  # it was champion before
    champion = champions.get_champion(release.mode)
    found = approvals.find(release, champion.id if champion else None)
    if found and found.state is ApprovalState.APPROVED and found.decision:
        return _promote_approved(champions, champion, release, found.decision)
    obstacle = _find_obstacle(release, found)
    if obstacle and release != champion:
        raise PromotionError(
            f"release {release.id[:12]} {obstacle}: see its evidence, then "
            f"`skyclass promote {release.id[:12]} --approve --reason WHY`"
        )
    return champions.promote(release, reason, run_id)


def approve(
    champions: ChampionStore, approvals: ApprovalLog, release: Release, by: str, reason: str
) -> Promotion:
    """Record an approval and promote the release. Idempotent.

    An approval that is recorded already is used as it is.

    Args:
        champions: The champions.
        approvals: Requests and decisions.
        release: The release.
        by: Who approves it.
        reason: Why.

    Raises:
        PromotionError: The champion is not the one that the release was compared with, or the
            promotion failed.
    """
    champion = champions.get_champion(release.mode)
    events = champions.list_promotions(release.mode)
    if champion == release and events and events[-1].to_release == release.id:
        return events[-1]
    _expect_champion(champion, release)
    found = approvals.find(release, champion.id if champion else None)
    decision = found.decision if found else None
    if decision is None or not decision.approved:
        decision = approvals.decide(release, approved=True, by=by, reason=reason)
    return _promote_approved(champions, champion, release, decision)


def decline(
    champions: ChampionStore, approvals: ApprovalLog, release: Release, by: str, reason: str
) -> ApprovalDecision:
    """Record that a release is not to be promoted. Idempotent.

    Args:
        champions: The champions.
        approvals: Requests and decisions.
        release: The release.
        by: Who declines it.
        reason: Why.

    Raises:
        PromotionError: The release is the champion.
    """
    champion = champions.get_champion(release.mode)
    if champion == release:
        raise PromotionError(
            f"release {release.id[:12]} is the {release.mode} champion: to replace it, run "
            f"`skyclass rollback --mode {release.mode}`"
        )
    found = approvals.find(release, champion.id if champion else None)
    if found and found.state is ApprovalState.DECLINED and found.decision:
        return found.decision
    return approvals.decide(release, approved=False, by=by, reason=reason)


def _promote_approved(
    champions: ChampionStore,
    champion: Release | None,
    release: Release,
    decision: ApprovalDecision,
) -> Promotion:
    _expect_champion(champion, release)
    # The id of the training run, so that the decision that started it finds its outcome.
    return champions.promote(
        release, decision.reason, release.manifest.run_id, approved_by=decision.by
    )


def _expect_champion(champion: Release | None, release: Release) -> None:
    """Check that the evidence of a release is about the champion, unless it is the champion."""
    compared = release.manifest.gate.champion
    if champion == release or (champion.id if champion else None) == compared:
        return
    now = f"release {champion.id[:12]}" if champion else "none"
    before = f"release {compared[:12]}" if compared else "no champion"
    raise PromotionError(
        f"release {release.id[:12]} was compared with {before}, but the champion is {now}: run "
        "the training again, so that they are compared"
    )


def _find_obstacle(release: Release, approval: Approval | None) -> str:
    """Return why a release needs an approval; empty if it needs none."""
    gate = release.manifest.gate
    if approval and approval.state is ApprovalState.DECLINED and approval.decision:
        return f"was declined by {approval.decision.by} ({approval.decision.reason})"
    if not gate.passed:
        return f"did not pass its gate ({gate.reason})"
    if approval and approval.state is ApprovalState.SUPERSEDED:
        return "was superseded before it was approved"
    if approval and approval.request:
        return f"waits for approval ({approval.request.reason})"
    if gate.reviews:
        return f"needs an approval ({gate.reviews[0].subject})"
    return ""
