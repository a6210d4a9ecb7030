"""Choice of a calibration for the winner of the search, by cross-validation.

Boosting is overconfident on few rows, forests are underconfident. Whether a calibration helps
depends on the number of rows, so it is judged on more rows than the search uses.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from joblib import parallel_config
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from skyclass.survey.observation import CLASSES, most_probable_classes
from skyclass.training.calibration import expected_calibration_error
from skyclass.training.candidates import Calibration
from skyclass.training.results import CalibrationResult, CalibrationScore
from skyclass.training.search import sample_rows

logger = logging.getLogger(__name__)

CALIBRATION_ROWS = 16_000
"""Enough rows to distinguish a gain of 0.001 in log-loss from noise."""

_FOLDS = 3
"""Folds of the cross-validation, and of a calibrated model's own."""

Probabilities = npt.NDArray[np.float64]


class _Predicted(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # they have no types
    """A model whose features are its predictions."""

    def fit(self, probabilities: Probabilities, labels: npt.NDArray[np.object_]) -> "_Predicted":
        self.classes_ = np.unique(labels)
        return self

    def predict(self, probabilities: Probabilities) -> npt.NDArray[np.object_]:
        return most_probable_classes(probabilities)

    def predict_proba(self, probabilities: Probabilities) -> Probabilities:
        return probabilities


def calibrate(model: ClassifierMixin, method: Calibration, seed: int) -> ClassifierMixin:
    """Return an unfitted model that calibrates the probabilities of an unfitted one.

    Its calibrator is fitted to predictions for rows that the model was not fitted on. The rows are
    shuffled, because those of a dataset are in order of time.
    """
    if method is Calibration.NONE:
        return model
    folds = _make_folds(seed)
    return CalibratedClassifierCV(model, method=method.value, ensemble=False, cv=folds)


def choose_calibration(
    make_model: Callable[[], ClassifierMixin],
    methods: Sequence[Calibration],
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.object_],
    seed: int,
) -> CalibrationResult:
    """Compare calibrations with none by cross-validation.

    Each calibrator is fitted to predictions for the rows outside of a fold, by models that were not
    fitted on these rows, and evaluated on the fold. A calibration is chosen if it lowers the
    log-loss by more than one standard error, and neither accuracy nor calibration error get worse.
    Of several, the one with the lowest log-loss.

    Args:
        make_model: Makes the unfitted model.
        methods: Calibrations to compare.
        features: Shape (n, k). At most `CALIBRATION_ROWS` rows are used, in a stratified sample.
        labels: Class names, shape (n,).
        seed: Seed of the sample and the folds.
    """
    if not methods:
        return CalibrationResult()
    features, labels = sample_rows(features, labels, CALIBRATION_ROWS, seed)
    predict = partial(cross_val_predict, cv=_make_folds(seed), method="predict_proba")
    with parallel_config("threading", n_jobs=-1):
        raw_probabilities = predict(make_model(), features, labels)
        calibrated = [
            predict(calibrate(_Predicted(), method, seed), raw_probabilities, labels)
            for method in methods
        ]
    predictions = [raw_probabilities, *calibrated]
    raw_losses = _compute_losses(labels, predictions[0])
    scores = [
        _score(method, probabilities, labels, raw_losses)
        for method, probabilities in zip((Calibration.NONE, *methods), predictions, strict=True)
    ]
    raw = scores[0]
    better = [score for score in scores[1:] if _is_better(score, raw)]
    chosen = min(better, key=lambda score: score.log_loss, default=raw)
    for score in scores:
        logger.info(
            "calibration %s: log-loss %.4f (gain %.4f ± %.4f), calibration error %.4f",
            score.method, score.log_loss, score.gain, score.gain_error, score.calibration_error,
        )  # fmt: skip
    return CalibrationResult(method=chosen.method, scores=tuple(scores), rows=len(labels))


def _make_folds(seed: int) -> StratifiedKFold:
    return StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)


def _is_better(score: CalibrationScore, raw: CalibrationScore) -> bool:
    return (
        score.gain > score.gain_error
        and score.accuracy >= raw.accuracy
        and score.calibration_error <= raw.calibration_error
    )


def _score(
    method: Calibration,
    probabilities: Probabilities,
    labels: npt.NDArray[np.object_],
    raw_losses: npt.NDArray[np.float64],
) -> CalibrationScore:
    losses = _compute_losses(labels, probabilities)
    gains = raw_losses - losses
    return CalibrationScore(
        method=method,
        log_loss=float(losses.mean()),
        gain=float(gains.mean()),
        gain_error=float(gains.std() / len(gains) ** 0.5),
        accuracy=float((most_probable_classes(probabilities) == labels).mean()),
        calibration_error=expected_calibration_error(labels, probabilities),
    )


def _compute_losses(
    labels: npt.NDArray[np.object_], probabilities: Probabilities
) -> npt.NDArray[np.float64]:
    """Compute the log-loss of each row, shape (n,), bounded as scikit-learn bounds it."""
    columns = np.searchsorted(CLASSES, labels.astype(str))
    of_true_class = probabilities[np.arange(len(labels)), columns]
    return -np.log(of_true_class.clip(np.finfo(of_true_class.dtype).eps))
