"""Step 4: judge the winner on both hold-outs and against the champion."""

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from skyclass.promotion.champions import open_champion_store
from skyclass.registry.manifest import Document, Evaluation, GateVerdict
from skyclass.registry.models import load_model
from skyclass.registry.releases import CONFUSION, REFERENCE, REPORT, Registry
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.prediction_log import REFERENCE_SCHEMA
from skyclass.training import plots
from skyclass.training.dataset import Dataset
from skyclass.training.fit import load_models
from skyclass.training.gate import Champion, judge
from skyclass.training.judgement import judge_champion, judge_models, reference
from skyclass.training.report import render

_EVALUATED = "evaluated.json"


class Evaluated(Document):
    """What the evaluation found: quality by split, and the gate's verdict."""

    metrics: dict[str, Evaluation]
    gate: GateVerdict

    @classmethod
    def load(cls, folder: Path) -> "Evaluated":
        """Read what `evaluate_step` wrote."""
        return cls.model_validate_json((folder / _EVALUATED).read_bytes())


def evaluate_step(
    settings: Settings, dataset: Path, models: Path, mode: Mode, seed: int, folder: Path
) -> Evaluated:
    """Judge the winner on both hold-outs and against the champion.

    Args:
        settings: Where the registry is.
        dataset: What `validate_step` wrote.
        models: What `train_step` wrote.
        mode: The mode of the model.
        seed: Draws the reference when the hold-out is too large for it.
        folder: Where scores, report, plots and reference are written.
    """
    rows = Dataset.load(dataset, mode)
    fitted = load_models(models)
    judgement = judge_models(rows, fitted)
    gate = judge(judgement.random, _champion(settings, rows))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT).write_text(render(rows, fitted.summary, judgement, gate))
    (folder / CONFUSION).write_bytes(plots.png(plots.confusion_figure(judgement.random)))
    table = pa.Table.from_pandas(
        reference(rows, judgement, seed), schema=REFERENCE_SCHEMA, preserve_index=False
    )
    pq.write_table(table, folder / REFERENCE)
    evaluated = Evaluated(
        metrics={evaluation.split: evaluation for evaluation in judgement.evaluations}, gate=gate
    )
    (folder / _EVALUATED).write_bytes(evaluated.to_bytes())
    return evaluated


def _champion(settings: Settings, dataset: Dataset) -> Champion | None:
    release = open_champion_store(settings).get_champion(dataset.mode)
    if release is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        Registry(ObjectStore(settings)).download(release, Path(folder))
        return judge_champion(dataset, load_model(Path(folder)))
