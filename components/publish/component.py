"""Publish a release, and promote it if it passed the gate and needs no approval."""

from typing import NamedTuple

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def publish(
    dataset: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    mode: str,
    promotion: str,
    reason: str,
    run_id: str,
    result: dsl.Output[dsl.Markdown],
) -> NamedTuple("Published", release_id=str, promoted=bool, verdict=str, waits_for_approval=bool):
    """Publish a release, and promote it if it passed the gate and needs no approval.

    Args:
        dataset: Training rows and hold-outs.
        model: The fitted model.
        evaluation: Folder written by `evaluate`.
        mode: `spectroscopic` or `photometric`.
        promotion: `if_better`, `if_not_worse`, `approve` or `never`.
        reason: Reason for the run; stored with the promotion.
        run_id: Id of the run; stored in the manifest.
        result: Verdict, metrics beside the champion's, and checks of the gate.

    Returns:
        Id of the release, whether it was promoted, the reason, and whether it waits for approval.
    """
    from pathlib import Path

    from skyclass.logs import start_step
    from skyclass.notifications.releases import notify_publication
    from skyclass.settings import load_settings
    from skyclass.training.outcome import RunOutcome
    from skyclass.training.parameters import parse_mode, parse_promotion
    from skyclass.training.reports.result import render_result
    from skyclass.training.steps.publish import publish_step

    start_step()
    settings, policy = load_settings(), parse_promotion(promotion)
    folders = (Path(dataset.path), Path(model.path), Path(evaluation.path))
    done = publish_step(settings, *folders, parse_mode(mode), policy, reason, run_id)
    page = render_result(
        done.release, done.promoted, done.reason, done.champion, done.waits_for_approval
    )
    Path(result.path).write_text(page)
    outcome = RunOutcome(
        release_id=done.release.id,
        promoted=done.promoted,
        verdict=done.reason,
        waits_for_approval=done.waits_for_approval,
    )
    outcome.log()
    notify_publication(settings, done, policy, run_id)
    return done.release.id, done.promoted, done.reason, done.waits_for_approval
