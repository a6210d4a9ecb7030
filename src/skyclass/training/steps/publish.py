"""Step 5: publish a release and, if it passed the gate, promote it or let it wait."""

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from skyclass.promotion.approvals import ApprovalLog
from skyclass.promotion.champions import ChampionStore, open_champion_store
from skyclass.promotion.memory import MemoryLimitError
from skyclass.registry.digests import compute_digest
from skyclass.registry.manifest import Evaluation, Manifest
from skyclass.registry.releases import (
    CONFUSION,
    DOMAIN,
    DUST_MAP,
    JOBLIB_MODEL,
    MODEL_CARD,
    ONNX_MODEL,
    REFERENCE,
    REPORT,
    Registry,
    Release,
)
from skyclass.registry.verdicts import Check, GateVerdict, join_descriptions
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import CLASSES
from skyclass.training.dataset import Dataset
from skyclass.training.parameters import PromotionPolicy
from skyclass.training.reports.card import render_model_card
from skyclass.training.results import EvaluationResult, FitSummary

logger = logging.getLogger(__name__)

_MAX_REVIEWS = 3
"""Checks that the reason of a waiting release names."""


@dataclass(frozen=True)
class PublishResult:
    """The published release, and whether and why it became the champion.

    Attributes:
        release: The release.
        promoted: Whether it became the champion.
        reason: Reason for the promotion, or against it.
        champion: Metrics of the champion that it was compared with.
        waits_for_approval: Whether it waits until a person approves it.
    """

    release: Release
    promoted: bool
    reason: str
    champion: Evaluation | None
    waits_for_approval: bool = False


def publish_step(
    settings: Settings,
    dataset: Path,
    models: Path,
    evaluation: Path,
    mode: Mode,
    policy: PromotionPolicy,
    reason: str,
    run_id: str,
) -> PublishResult:
    """Publish a release, and promote it if it passed the gate and needs no approval.

    Idempotent: an attempt after one that has published or promoted the release completes that one.

    Args:
        settings: Where the registry is.
        dataset: Output folder of `validate_step`.
        models: Output folder of `train_step`.
        evaluation: Output folder of `evaluate_step`.
        mode: Mode of the model.
        policy: What the release needs to be promoted.
        reason: Why the run was started; recorded with the promotion.
        run_id: Id of the run.
    """
    result = EvaluationResult.load(evaluation)
    summary = FitSummary.load(models)
    champions = open_champion_store(settings)
    champion = champions.get_champion(mode)
    store = ObjectStore(settings)
    draft = Manifest(
        mode=mode,
        candidate=summary.search.winner,
        settings=summary.search.selected.settings,
        calibration=summary.calibration.method,
        inputs=INPUTS[mode],
        features=summary.inputs.features,
        classes=CLASSES,
        libraries=summary.libraries,
        training_set=Dataset.load(dataset, mode).summary,
        metrics=result.metrics,
        groups=result.groups,
        missing_bands=result.missing_bands,
        parity=summary.parity,
        label_sets=result.label_sets,
        purity_cuts=result.purity_cuts,
        memory=result.memory,
        preference=summary.search.preference,
        gate=result.gate,
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
        DOMAIN: evaluation,
    }
    if "extinction_r" in draft.features:
        sources[DUST_MAP] = dataset
    files = {name: folder / name for name, folder in sources.items() if (folder / name).exists()}
    release = _publish(Registry(store), draft, files)
    logger.info("published release %s", release.id)
    is_overtaken = (
        champion and champion.id != result.gate.champion and champion.manifest.run_id != run_id
    )
    promoted, waits, verdict = False, False, result.gate.reason
    if policy is PromotionPolicy.NEVER:
        verdict = "the run has promotion=never"
    elif champion == release and _is_recorded(champions, release):
        promoted = True  # by an earlier attempt of this step
    elif champion and is_overtaken and result.gate.passed:
        verdict = (
            f"release {champion.id[:12]} became champion after this one was evaluated: run again"
        )
    elif result.gate.passed and (why := _find_why_it_waits(result.gate, policy)):
        ApprovalLog(store).request(release, why)
        waits, verdict = True, f"waits for approval: {why}"
    elif result.gate.passed:
        try:
            champions.promote(release, f"{reason}: {result.gate.reason}", run_id)
            promoted = True
        except MemoryLimitError as error:  # repeating the step would publish it again
            verdict = str(error)
    return PublishResult(release, promoted, verdict, result.champion, waits)


def _publish(registry: Registry, draft: Manifest, files: Mapping[str, Path]) -> Release:
    """Publish a release with its model card, unless an earlier attempt of this step has done so."""
    contents = {path: compute_digest(file.read_bytes()) for path, file in files.items()}
    for earlier in registry.list_of_run(draft.mode, draft.run_id):
        published = {entry.path: entry.sha256 for entry in earlier.manifest.files}
        if published.items() >= contents.items():
            return earlier
    with tempfile.TemporaryDirectory() as folder:
        card = Path(folder) / MODEL_CARD
        card.write_text(render_model_card(draft))
        return registry.publish(draft, {**files, MODEL_CARD: card})


def _is_recorded(champions: ChampionStore, champion: Release) -> bool:
    """Return whether the newest promotion is that of the champion."""
    promotions = champions.list_promotions(champion.mode)
    return bool(promotions) and promotions[-1].to_release == champion.id


def _find_why_it_waits(gate: GateVerdict, policy: PromotionPolicy) -> str:
    """Return why a release that passed the gate waits for an approval; empty if it does not."""
    if gate.reviews:
        shown = [_describe_review(check) for check in gate.reviews[:_MAX_REVIEWS]]
        return join_descriptions(shown, len(gate.reviews))
    if policy is PromotionPolicy.APPROVE:
        return f"promotion=approve; {gate.reason}"
    return ""


def _describe_review(check: Check) -> str:
    numbers = [
        f"{name} {value:.4g}"
        for name, value in (("champion", check.champion), ("limit", check.limit))
        if value is not None
    ]
    value = "" if check.challenger is None else f" {check.challenger:.4g}"
    return f"{check.subject}{value} ({', '.join([*numbers, f'{check.rows:,} rows'])})"
