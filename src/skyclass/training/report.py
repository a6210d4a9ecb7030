"""The training report: one self-contained HTML page."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from skyclass.registry.manifest import GateVerdict
from skyclass.survey.features import FEATURES
from skyclass.survey.observation import CLASSES
from skyclass.training import plots
from skyclass.training.dataset import Dataset
from skyclass.training.fit import Fitted
from skyclass.training.judgement import Judgement

_TEMPLATES = Environment(
    loader=PackageLoader("skyclass.training", "."), autoescape=True, undefined=StrictUndefined
)


def render(dataset: Dataset, fitted: Fitted, judgement: Judgement, gate: GateVerdict) -> str:
    """Render the report of one training.

    Args:
        dataset: What was trained on.
        fitted: The winner and how the candidates fared.
        judgement: How good it is.
        gate: Whether it may become the champion.
    """
    held_out = dataset.random_holdout
    labels = dataset.labels[held_out]
    probabilities = judgement.random_probabilities
    figures = [
        *(plots.confusion_figure(evaluation) for evaluation in judgement.evaluations),
        plots.reliability_figure(labels, probabilities),
        plots.brightness_figure(dataset.rows["r"].to_numpy()[held_out], labels, probabilities),
    ]
    return _TEMPLATES.get_template("report.html.j2").render(
        mode=str(dataset.mode),
        candidate=fitted.search.winner,
        training_set=dataset.summary,
        gate=gate,
        evaluations=judgement.evaluations,
        classes=CLASSES,
        plots=[plots.svg(figure) for figure in figures],
        search=fitted.search,
        features=FEATURES[dataset.mode],
        parity=fitted.parity,
    )
