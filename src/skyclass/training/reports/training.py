"""The training report of a release."""

from skyclass.registry.verdicts import GateVerdict
from skyclass.survey.observation import CLASSES
from skyclass.training.calibration import CALIBRATION_BINS
from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import ModelEvaluation
from skyclass.training.reports import plots
from skyclass.training.reports.caveats import CAVEATS
from skyclass.training.reports.checks import render_checks_html
from skyclass.training.reports.pages import render_page
from skyclass.training.reports.uncertainty import render_uncertainty
from skyclass.training.results import FitSummary
from skyclass.training.search_result import SLOWER_RATIO
from skyclass.training.uncertainty.assessment import Uncertainty


def render_training_report(
    dataset: Dataset,
    summary: FitSummary,
    evaluation: ModelEvaluation,
    gate: GateVerdict,
    uncertainty: Uncertainty | None = None,
) -> str:
    """Render the training report as a self-contained page.

    Args:
        dataset: The dataset of the run.
        summary: Outcome of the search, the calibration and the ONNX parity check.
        evaluation: Metrics of the fitted models.
        gate: Verdict of the gate.
        uncertainty: What is promised about predictions.
    """
    held_out = dataset.random_holdout
    labels = dataset.labels[held_out]
    probabilities = evaluation.random_probabilities
    r_magnitude = dataset.rows["r"].to_numpy()[held_out]
    figures = [
        *(plots.plot_confusion(each) for each in evaluation.evaluations),
        plots.plot_reliability(labels, probabilities, evaluation.random),
        plots.plot_accuracy_by_brightness(r_magnitude, labels, probabilities),
    ]
    return render_page(
        "training.html.j2",
        mode=str(dataset.mode),
        candidate=summary.search.winner,
        training_set=dataset.summary,
        gate=gate,
        checks=render_checks_html(gate.checks),
        evaluations=evaluation.evaluations,
        calibration_bins=CALIBRATION_BINS,
        classes=CLASSES,
        plots=[plots.to_svg(figure) for figure in figures],
        uncertainty=(
            render_uncertainty(dataset, probabilities, uncertainty) if uncertainty else ""
        ),
        search=summary.search,
        slower_ratio=SLOWER_RATIO,
        calibration=summary.calibration,
        features=summary.inputs.features,
        groups=evaluation.groups,
        missing_bands=evaluation.missing_bands,
        coverage=summary.inputs.coverage,
        parity=summary.parity,
        caveats=CAVEATS[dataset.mode],
    )
