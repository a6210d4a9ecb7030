"""Step 5: publish a release and, when the gate let it pass, promote it."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from skyclass.promotion.champions import open_champion_store
from skyclass.registry.manifest import Manifest
from skyclass.registry.releases import (
    CONFUSION,
    JOBLIB_MODEL,
    ONNX_MODEL,
    REFERENCE,
    REPORT,
    Registry,
    Release,
)
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import FEATURES, INPUTS, Mode
from skyclass.survey.observation import CLASSES
from skyclass.training.dataset import Dataset
from skyclass.training.export import library_versions
from skyclass.training.fit import load_models
from skyclass.training.steps.evaluate import Evaluated

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """What the step did: the release, and whether and why it became the champion."""

    release: Release
    promoted: bool
    reason: str


def publish_step(
    settings: Settings,
    dataset: Path,
    models: Path,
    evaluation: Path,
    mode: Mode,
    promote: bool,
    reason: str,
    run_id: str,
) -> Published:
    """Publish a release, and promote it when the gate lets it pass.

    Args:
        settings: Where the registry is.
        dataset: What `validate_step` wrote.
        models: What `train_step` wrote.
        evaluation: What `evaluate_step` wrote.
        mode: The mode of the model.
        promote: Whether a release that passes the gate becomes the champion.
        reason: Why this run was started.
        run_id: The run.
    """
    evaluated = Evaluated.load(evaluation)
    fitted = load_models(models).summary
    leading = open_champion_store(settings)
    champion = leading.get_champion(mode)
    draft = Manifest(
        mode=mode,
        candidate=fitted.search.winner,
        inputs=INPUTS[mode],
        features=FEATURES[mode],
        classes=CLASSES,
        libraries=library_versions(),
        training_set=Dataset.load(dataset, mode).summary,
        metrics=evaluated.metrics,
        parity=fitted.parity,
        gate=evaluated.gate,
        parent=champion.id if champion else None,
        run_id=run_id,
        created_at=datetime.now(UTC),
        files=(),
    )
    sources = {
        JOBLIB_MODEL: models,
        ONNX_MODEL: models,
        REFERENCE: evaluation,
        REPORT: evaluation,
        CONFUSION: evaluation,
    }
    files = {name: folder / name for name, folder in sources.items() if (folder / name).exists()}
    release = Registry(ObjectStore(settings)).publish(draft, files)
    logger.info("published release %s", release.id)
    if not evaluated.gate.passed or not promote:
        why = evaluated.gate.reason if promote else "this run was told not to promote"
        return Published(release, promoted=False, reason=why)
    if champion and champion.id != evaluated.gate.champion and champion.manifest.run_id != run_id:
        why = f"release {champion.id[:12]} became champion since this one was judged: run again"
        return Published(release, promoted=False, reason=why)
    leading.promote(release, f"{reason}: {evaluated.gate.reason}", run_id)
    return Published(release, promoted=True, reason=evaluated.gate.reason)
