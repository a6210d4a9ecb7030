"""Evaluate a fitted model on both hold-outs and compare it with the champion."""

from typing import NamedTuple

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def evaluate(
    dataset: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    mode: str,
    promotion: str,
    seed: int,
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    confusion: dsl.Output[dsl.ClassificationMetrics],
    report: dsl.Output[dsl.HTML],
) -> NamedTuple("Evaluated", passed=bool):
    """Evaluate a fitted model on both hold-outs and compare it with the champion.

    Args:
        dataset: Training rows and hold-outs.
        model: The fitted model.
        mode: `spectroscopic` or `photometric`.
        promotion: `if_better`, `if_not_worse`, `approve` or `never`.
        seed: Seed of the sample that becomes the reference of drift detection.
        evaluation: Folder with scores, verdict of the gate, reference and report.
        metrics: Scores of the random hold-out, and of the temporal one with suffix `_temporal`;
            smallest p-values of the comparisons with the champion, and failed checks.
        confusion: Confusion matrix on the random hold-out.
        report: HTML report.

    Returns:
        Whether the model passed the gate.
    """
    from pathlib import Path

    from skyclass.logs import start_step
    from skyclass.settings import load_settings
    from skyclass.training.parameters import parse_mode, parse_promotion
    from skyclass.training.steps.evaluate import evaluate_step

    start_step()
    inputs, folder = (Path(dataset.path), Path(model.path)), Path(evaluation.path)
    choices = parse_mode(mode), parse_promotion(promotion)
    found = evaluate_step(load_settings(), *inputs, *choices, seed, folder)
    for name, value in found.list_metrics().items():
        metrics.log_metric(name, value)
    random = found.metrics["random_holdout"]
    confusion.log_confusion_matrix(list(random.classes), [list(row) for row in random.confusion])
    Path(report.path).write_text((folder / "report.html").read_text())
    return (found.gate.passed,)
