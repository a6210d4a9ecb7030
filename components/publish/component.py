"""Publish a release, and promote it if it passed the gate."""

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
    release: dsl.Output[dsl.Metrics],
) -> NamedTuple("Published", release_id=str, promoted=bool, verdict=str):
    """Publish a release, and promote it if it passed the gate.

    Args:
        dataset: Training rows and hold-outs.
        model: The fitted model.
        evaluation: Folder written by `evaluate`.
        mode: `spectroscopic` or `photometric`.
        promotion: `if_better` or `never`.
        reason: Reason for the run; stored with the promotion.
        run_id: Id of the run; stored in the manifest.
        release: Id of the release, and whether it was promoted.

    Returns:
        Id of the release, whether it was promoted, and the reason.
    """
    from pathlib import Path

    from skyclass.logs import start_step
    from skyclass.settings import load_settings
    from skyclass.training.parameters import parse_mode, parse_promotion
    from skyclass.training.steps.publish import publish_step

    start_step()
    folders = (Path(dataset.path), Path(model.path), Path(evaluation.path))
    done = publish_step(
        load_settings(), *folders, parse_mode(mode), parse_promotion(promotion), reason, run_id
    )
    release.log_metric("release_id", done.release.id)
    release.log_metric("promoted", done.promoted)
    return done.release.id, done.promoted, done.reason
