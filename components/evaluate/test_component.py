"""The component `evaluate`, called as KFP's executor calls it."""

from pathlib import Path

from kfp import dsl

from components.evaluate.component import evaluate
from skyclass.storage.s3 import ObjectStore
from skyclass.training.dataset import Dataset


def test_metrics_confusion_matrix_and_report_are_outputs(
    store: ObjectStore, dataset: Dataset, models_folder: Path, tmp_path: Path
) -> None:
    dataset.save(tmp_path / "dataset")
    evaluation = dsl.Artifact(uri=str(tmp_path / "evaluation"))
    metrics = dsl.Metrics(uri=str(tmp_path / "metrics"))
    confusion = dsl.ClassificationMetrics(uri=str(tmp_path / "confusion"))
    report = dsl.HTML(uri=str(tmp_path / "report.html"))
    (passed,) = evaluate.python_func(
        dsl.Dataset(uri=str(tmp_path / "dataset")),
        dsl.Model(uri=str(models_folder)),
        "spectroscopic",
        "if_better",
        0,
        *(evaluation, metrics, confusion, report),
    )
    held_out = int(dataset.random_holdout.sum())
    assert passed is True
    names = ("accuracy", "macro_f1", "log_loss", "ece", "rows")
    temporal = (f"{name}_temporal" for name in names)
    assert list(metrics.metadata) == [*names, *temporal, "checks", "failed_checks"]
    assert metrics.metadata["failed_checks"] == 0
    assert metrics.metadata["rows"] == held_out
    assert metrics.metadata["accuracy"] > 0.9
    matrix = confusion.metadata["confusionMatrix"]
    assert [c["displayName"] for c in matrix["annotationSpecs"]] == ["GALAXY", "QSO", "STAR"]
    assert sum(sum(row["row"]) for row in matrix["rows"]) == held_out
    assert Path(report.path).read_text().startswith("<!doctype html>")
    files = {file.name for file in Path(evaluation.path).iterdir()}
    made = {"confusion.png", "domain.json", "evaluated.json", "reference.parquet", "report.html"}
    assert files == made
