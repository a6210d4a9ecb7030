"""Quality on real SDSS rows: within reach of published results."""

from pathlib import Path

import pytest

from skyclass.ingest.step import ingest_step
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.training.parameters import PromotionPolicy
from skyclass.training.steps.evaluate import evaluate_step
from skyclass.training.steps.train import train_step
from skyclass.training.steps.validate import validate_step


@pytest.mark.parametrize(
    ("mode", "accuracy", "macro_f1"),
    [(Mode.SPECTROSCOPIC, 0.972, 0.967), (Mode.PHOTOMETRIC, 0.865, 0.825)],
)
def test_quality_on_twenty_thousand_real_rows(
    mode: Mode,
    accuracy: float,
    macro_f1: float,
    real_rows: Path,
    settings: Settings,
    store: ObjectStore,
    tmp_path: Path,
) -> None:
    ingested = ingest_step(settings, str(real_rows))
    assert (ingested.inserted, ingested.rejected) == (20_000, 0)
    outputs = (tmp_path / "dataset", tmp_path / "exploration.html")
    validate_step(settings, ingested.version, mode, 100_000, *outputs)
    train_step(tmp_path / "dataset", mode, "all", 0, tmp_path / "models")
    result = evaluate_step(
        settings,
        tmp_path / "dataset",
        tmp_path / "models",
        mode,
        PromotionPolicy.IF_BETTER,
        0,
        tmp_path / "evaluation",
    )
    random, temporal = result.metrics["random_holdout"], result.metrics["temporal_holdout"]
    assert random.accuracy >= accuracy
    assert random.macro_f1 >= macro_f1
    assert result.gate.passed
    # The survey's targets change, so a random split overestimates the quality on newer nights.
    assert temporal.accuracy < random.accuracy - 0.02
