"""The outcome of a training run, as far as the registry and the promotions show it."""

from collections.abc import Sequence

from skyclass.monitoring.decisions import Decision, RunState
from skyclass.promotion.events import Promotion
from skyclass.promotion.lineage import find_promoted
from skyclass.registry.releases import Release


def complete_run(
    decision: Decision, releases: Sequence[Release], promotions: Sequence[Promotion]
) -> Decision:
    """Return a decision whose run has ended if it has promoted a release, or failed the gate.

    Only the drift job requests the state of runs from KFP, once per window. Publication is the last
    step of a run, so its outcome is known before.

    Args:
        decision: The decision as it was stored.
        releases: All releases of the mode.
        promotions: All promotions of the mode, oldest first.
    """
    run = decision.run
    if run is None or run.id is None or not run.is_active:
        return decision
    promoted = find_promoted(promotions, run.id)
    published = [release for release in releases if release.manifest.run_id == run.id]
    if promoted:
        outcome = {"promoted": True, "release": promoted}
    elif published and not published[-1].manifest.gate.passed:
        gate = published[-1].manifest.gate
        outcome = {"promoted": False, "release": published[-1].id, "message": gate.reason}
    else:
        return decision
    ended = run.model_copy(update={"state": RunState.SUCCEEDED, **outcome})
    return decision.model_copy(update={"run": ended})
