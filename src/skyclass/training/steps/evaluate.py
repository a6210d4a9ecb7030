"""Step 4: evaluate the fitted models, and compare the challenger with the champion."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from skyclass.promotion.champions import open_champion_store
from skyclass.registry.models import download_model
from skyclass.registry.releases import CONFUSION, REFERENCE, REPORT, Registry
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.prediction_log import REFERENCE_SCHEMA
from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import (
    ChampionEvaluation,
    evaluate_champion,
    evaluate_models,
)
from skyclass.training.fit import load_fitted_models
from skyclass.training.gate import check_gate
from skyclass.training.parameters import PromotionPolicy
from skyclass.training.reference import make_reference
from skyclass.training.reports import plots
from skyclass.training.reports.training import render_training_report
from skyclass.training.results import EvaluationResult


def evaluate_step(
    settings: Settings,
    dataset: Path,
    models: Path,
    mode: Mode,
    policy: PromotionPolicy,
    seed: int,
    folder: Path,
) -> EvaluationResult:
    """Evaluate the fitted models on both hold-outs, and check the gate.

    Args:
        settings: Where the registry is.
        dataset: Output folder of `validate_step`.
        models: Output folder of `train_step`.
        mode: Mode of the models.
        policy: What the release needs to be promoted.
        seed: Seed of the reference's sample.
        folder: Output folder for metrics, report, plots and reference.
    """
    rows = Dataset.load(dataset, mode)
    fitted = load_fitted_models(models)
    evaluation = evaluate_models(rows, fitted)
    champion = _evaluate_current_champion(settings, rows)
    gate = check_gate(rows, evaluation, champion, policy)
    folder.mkdir(parents=True, exist_ok=True)
    report = render_training_report(rows, fitted.summary, evaluation, gate)
    (folder / REPORT).write_text(report)
    (folder / CONFUSION).write_bytes(plots.to_png(plots.plot_confusion(evaluation.random)))
    reference = make_reference(rows, evaluation.random_probabilities, seed)
    pq.write_table(
        pa.Table.from_pandas(reference, REFERENCE_SCHEMA, preserve_index=False), folder / REFERENCE
    )
    result = EvaluationResult(
        metrics={each.split: each for each in evaluation.evaluations},
        gate=gate,
        champion=champion.evaluation if champion else None,
    )
    result.save(folder)
    return result


def _evaluate_current_champion(settings: Settings, dataset: Dataset) -> ChampionEvaluation | None:
    release = open_champion_store(settings).get_champion(dataset.mode)
    if release is None:
        return None
    return evaluate_champion(dataset, download_model(Registry(ObjectStore(settings)), release))
