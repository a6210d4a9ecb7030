"""The outcome of a training run, as far as the registry and the promotions show it."""

from collections.abc import Sequence
from uuid import UUID

from skyclass.monitoring.decisions import Decision, Run, RunState
from skyclass.promotion.approvals import Approval, ApprovalState, find_approval
from skyclass.promotion.events import Promotion
from skyclass.promotion.lineage import find_promoted
from skyclass.registry.releases import Release


def make_run_link(run_id: str, kfp_url: str) -> str | None:
    """Return the page of a run of KFP.

    Args:
        run_id: Id of the run.
        kfp_url: URL of KFP's user interface; may be empty.

    Returns:
        None for a run of KFP's local runner, which has no UUID, and without a URL.
    """
    try:
        UUID(run_id)
    except ValueError:
        return None
    return f"{kfp_url.rstrip('/')}/#/runs/details/{run_id}" if kfp_url else None


def complete_run(
    decision: Decision,
    releases: Sequence[Release],
    promotions: Sequence[Promotion],
    approvals: Sequence[Approval] = (),
) -> Decision:
    """Return a decision with the current outcome of its run.

    A run has ended if it has promoted a release, failed the gate, or published a release that
    waits for an approval. A person may decide about such a release long after the run.

    Only the drift job requests the state of runs from KFP, once per window. Publication is the last
    step of a run, so its outcome is known before.

    Args:
        decision: The decision as it was stored.
        releases: All releases of the mode.
        promotions: All promotions of the mode, oldest first.
        approvals: All releases of the mode that waited for an approval.
    """
    run = decision.run
    if run is None or run.id is None or not (run.is_active or run.promoted is False):
        return decision
    published = [release for release in releases if release.manifest.run_id == run.id]
    release_id = published[-1].id if published else run.release
    outcome = _find_outcome(run, release_id, releases, promotions, approvals)
    if not outcome:
        return decision
    ended = run.model_copy(update={"state": RunState.SUCCEEDED, **outcome})
    return decision.model_copy(update={"run": ended})


def _find_outcome(
    run: Run,
    release_id: str | None,
    releases: Sequence[Release],
    promotions: Sequence[Promotion],
    approvals: Sequence[Approval],
) -> dict[str, object]:
    """Return the fields of a run that changed; none if nothing is known."""
    if promoted := find_promoted(promotions, run.id):
        return {"promoted": True, "release": promoted}
    if any(event.to_release == release_id for event in promotions):  # the id of a local run differs
        return {"promoted": True, "release": release_id}
    if approval := find_approval(approvals, release_id):
        return {"promoted": False, "release": release_id, "message": describe_approval(approval)}
    release = next((each for each in releases if each.id == release_id), None)
    if run.is_active and release and not release.manifest.gate.passed:
        gate = release.manifest.gate
        return {"promoted": False, "release": release.id, "message": gate.reason}
    return {}


def describe_approval(approval: Approval) -> str:
    """Describe the state of a release that waited for an approval."""
    request, decision = approval.request, approval.decision
    if approval.state is ApprovalState.WAITING and request:
        return f"it waits for approval since {request.time:%Y-%m-%d %H:%M} UTC ({request.reason})"
    if approval.state is ApprovalState.SUPERSEDED or decision is None:
        return "it was superseded before it was approved"
    return f"it was {approval.state} by {decision.by} ({decision.reason})"
