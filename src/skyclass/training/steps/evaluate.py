"""Step 4: evaluate the fitted models, and compare the challenger with the champion."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from skyclass.errors import TrainingError
from skyclass.promotion.champions import open_champion_store
from skyclass.registry.models import download_model
from skyclass.registry.releases import CONFUSION, DOMAIN, REFERENCE, REPORT, Registry
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.log.schema import REFERENCE_FORMAT, REFERENCE_SCHEMA
from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import evaluate_champion, evaluate_models
from skyclass.training.fitted_models import load_fitted_models
from skyclass.training.gate import collect_checks, decide
from skyclass.training.parameters import PromotionPolicy
from skyclass.training.reference import make_reference
from skyclass.training.reports import plots
from skyclass.training.reports.training import render_training_report
from skyclass.training.results import EvaluationResult
from skyclass.training.traffic import (
    Challenger,
    find_served_file,
    make_labelled_rows,
    measure_memory,
    replay_traffic,
)
from skyclass.training.uncertainty.assessment import assess_uncertainty

logger = logging.getLogger(__name__)


def evaluate_step(
    settings: Settings,
    dataset: Path,
    models: Path,
    mode: Mode,
    policy: PromotionPolicy,
    seed: int,
    folder: Path,
) -> EvaluationResult:
    """Evaluate the fitted models on both hold-outs and on logged traffic, and check the gate.

    Args:
        settings: Where the registry and the prediction log are.
        dataset: Output folder of `validate_step`.
        models: Output folder of `train_step`.
        mode: Mode of the models.
        policy: What the release needs to be promoted.
        seed: Seed of the samples of the reference and of the traffic.
        folder: Output folder for metrics, report, plots and reference.
    """
    rows = Dataset.load(dataset, mode)
    fitted = load_fitted_models(models)
    names = fitted.summary.inputs.features
    evaluation = evaluate_models(rows, fitted)
    served_file = find_served_file(models, fitted.summary.parity.passed)
    memory = _measure_memory(served_file, len(names))
    store = ObjectStore(settings)
    release = open_champion_store(settings).get_champion(mode)
    served = download_model(Registry(store), release) if release else None
    champion = evaluate_champion(rows, served) if served else None
    checks = collect_checks(rows, evaluation, champion, policy)
    if served and champion:
        labelled = make_labelled_rows(rows, evaluation.random_probabilities, champion.probabilities)
        challenger = Challenger(served_file, names, rows.dust_map, memory)
        checks += replay_traffic(store, served, challenger, labelled, seed, datetime.now(UTC))
    uncertainty = assess_uncertainty(
        rows.compute_features(names),
        rows.random_holdout,
        rows.labels,
        names,
        fitted.release,
        seed,
        missing_bands=tuple(evaluation.missing_bands),
    )
    gate = decide(checks, evaluation.random, champion)
    folder.mkdir(parents=True, exist_ok=True)
    if uncertainty.domain is not None:
        (folder / DOMAIN).write_bytes(uncertainty.domain.to_bytes())
    report = render_training_report(rows, fitted.summary, evaluation, gate, uncertainty)
    (folder / REPORT).write_text(report)
    (folder / CONFUSION).write_bytes(plots.to_png(plots.plot_confusion(evaluation.random)))
    reference = make_reference(rows, evaluation.random_probabilities, seed, uncertainty.is_outside)
    table = pa.Table.from_pandas(reference, REFERENCE_SCHEMA, preserve_index=False)
    REFERENCE_FORMAT.write_parquet(table, folder / REFERENCE)
    result = EvaluationResult(
        metrics={each.split: each for each in evaluation.evaluations},
        gate=gate,
        champion=champion.evaluation if champion else None,
        label_sets=uncertainty.label_sets,
        purity_cuts=uncertainty.purity_cuts,
        groups=dict(evaluation.groups),
        missing_bands=dict(evaluation.missing_bands),
        memory=memory,
    )
    result.save(folder)
    return result


def _measure_memory(model: Path, features: int) -> int | None:
    try:
        return measure_memory(model, features)
    except TrainingError as error:
        logger.warning("the manifest gets no figure of the memory: %s", error)
        return None
