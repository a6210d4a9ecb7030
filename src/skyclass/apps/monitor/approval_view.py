"""Template variables about the approval of a release, for its page."""

from typing import Any

from skyclass.apps.monitor.state import ModeState
from skyclass.promotion.approvals import ApprovalState, find_approval
from skyclass.registry.releases import Release

HEADLINES = {
    ApprovalState.WAITING: "Waits for approval",
    ApprovalState.APPROVED: "Approved",
    ApprovalState.DECLINED: "Declined",
    ApprovalState.SUPERSEDED: "Superseded before it was approved",
}


def make_approval_view(state: ModeState, release: Release) -> dict[str, Any] | None:
    """Return the variables of the section about the approval; None if none was ever needed.

    Args:
        state: State of the release's mode.
        release: The release.
    """
    found = find_approval(state.approvals, release.id)
    if found is None:
        return None
    is_served = state.champion is not None and state.champion.id == release.id
    return {
        "state": found.state,
        "headline": HEADLINES[found.state],
        "request": found.request,
        "decision": found.decision,
        "command": f"skyclass promote {release.id[:12]}",
        "is_unfinished": found.state is ApprovalState.APPROVED
        and not is_served
        and not any(event.to_release == release.id for event in state.promotions),
    }


def make_states_view(state: ModeState | None) -> dict[str, Any]:
    """Return the state of each release that ever needed an approval, for the list of releases."""
    approvals = state.approvals if state else []
    return {"approval_states": {each.release: each.state for each in approvals}}
