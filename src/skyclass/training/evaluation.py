"""Evaluation of models on rows that they were not fitted on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
)

from skyclass.registry.manifest import BandScores, ClassScores, Evaluation, GroupScores, TrainingSet
from skyclass.registry.models import LoadedModel
from skyclass.survey.features import Mode
from skyclass.survey.observation import CLASSES, most_probable_classes
from skyclass.training.calibration import expected_calibration_error
from skyclass.training.dataset import Dataset
from skyclass.training.fitted_models import FittedModels
from skyclass.training.partial_inputs import evaluate_groups, evaluate_missing_bands

RANDOM_HOLDOUT = "random_holdout"
TEMPORAL_HOLDOUT = "temporal_holdout"


@dataclass(frozen=True)
class ModelEvaluation:
    """Metrics of a fitted model on its hold-outs.

    Attributes:
        evaluations: On the random hold-out, then on the temporal hold-out if there is one.
        random_probabilities: Predictions for the random hold-out, shape (n, 3).
        groups: Scores by group of optional inputs that the model uses.
        missing_bands: Scores by band that a row may lack.
    """

    evaluations: tuple[Evaluation, ...]
    random_probabilities: npt.NDArray[np.float64]
    groups: Mapping[str, GroupScores] = field(default_factory=dict)
    missing_bands: Mapping[str, BandScores] = field(default_factory=dict)

    @property
    def random(self) -> Evaluation:
        """Metrics on the random hold-out, which the gate compares."""
        return self.evaluations[0]

    @property
    def temporal(self) -> Evaluation | None:
        """Metrics of the temporal model on the temporal hold-out, if there is one."""
        return self.evaluations[1] if len(self.evaluations) > 1 else None


@dataclass(frozen=True)
class ChampionEvaluation:
    """The current champion on the challenger's random hold-out.

    Attributes:
        release_id: Id of the champion.
        training_set: Rows that it was trained on.
        evaluation: Its metrics.
        probabilities: Its predictions, shape (n, 3).
    """

    release_id: str
    training_set: TrainingSet
    evaluation: Evaluation
    probabilities: npt.NDArray[np.float64]


def evaluate_models(dataset: Dataset, models: FittedModels) -> ModelEvaluation:
    """Evaluate the release candidate and, if it was fitted, the temporal model.

    Each is evaluated on the hold-out that it was not fitted on.
    """
    names = models.summary.inputs.features
    features, labels = dataset.compute_features(names), dataset.labels
    held_out = dataset.random_holdout
    probabilities = models.release(features[held_out])
    evaluations = [evaluate(labels[held_out], probabilities, dataset.mode, RANDOM_HOLDOUT)]
    if models.temporal is not None:
        newest = dataset.temporal_holdout
        evaluations.append(
            evaluate(
                labels[newest], models.temporal(features[newest]), dataset.mode, TEMPORAL_HOLDOUT
            )
        )
    return ModelEvaluation(
        tuple(evaluations),
        probabilities,
        groups=evaluate_groups(dataset, models.release, models.summary.inputs, probabilities),
        missing_bands=evaluate_missing_bands(dataset, models.release, models.summary.inputs),
    )


def evaluate_champion(dataset: Dataset, champion: LoadedModel) -> ChampionEvaluation:
    """Evaluate the current champion on the challenger's random hold-out.

    The champion was not fitted on these rows either: the hold-out follows from the key alone.
    """
    held_out = dataset.random_holdout
    probabilities = champion.predict_probabilities(dataset.inputs[held_out])
    evaluation = evaluate(dataset.labels[held_out], probabilities, dataset.mode, RANDOM_HOLDOUT)
    return ChampionEvaluation(
        champion.release.id, champion.release.manifest.training_set, evaluation, probabilities
    )


def evaluate(
    labels: npt.NDArray[np.object_],
    probabilities: npt.NDArray[np.float64],
    mode: Mode,
    split: str,
) -> Evaluation:
    """Compute the metrics of predicted probabilities.

    Args:
        labels: True classes, shape (n,).
        probabilities: Shape (n, 3), in the order of `CLASSES`.
        mode: Mode of the model.
        split: Name of the rows, `RANDOM_HOLDOUT` or `TEMPORAL_HOLDOUT`.
    """
    names = list(CLASSES)
    predicted = most_probable_classes(probabilities)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=names, zero_division=0
    )
    return Evaluation(
        mode=mode,
        split=split,
        rows=len(labels),
        accuracy=accuracy_score(labels, predicted),
        macro_f1=float(np.mean(f1)),
        log_loss=log_loss(labels, _to_double(probabilities), labels=names),
        calibration_error=expected_calibration_error(labels, probabilities),
        classes={
            name: ClassScores(precision=p, recall=r, f1=f, support=n)
            for name, p, r, f, n in zip(names, precision, recall, f1, support, strict=True)
        },
        confusion=tuple(
            tuple(int(count) for count in row)
            for row in confusion_matrix(labels, predicted, labels=names)
        ),
    )


def _to_double(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Convert the single precision of ONNX models: log_loss clips at the precision of its input."""
    exact = probabilities.astype(np.float64)
    return exact / exact.sum(axis=1, keepdims=True)
