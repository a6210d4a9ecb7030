"""The algorithms that compete. With redshift they differ by less than 0.003: none is tuned."""

from collections.abc import Callable, Mapping

from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skyclass.errors import TrainingError

ALL = "all"


def _decision_tree(seed: int) -> ClassifierMixin:
    return DecisionTreeClassifier(min_samples_leaf=10, random_state=seed)


def _random_forest(seed: int) -> ClassifierMixin:
    return RandomForestClassifier(n_estimators=100, n_jobs=-1, random_state=seed)


def _hist_gradient_boosting(seed: int) -> ClassifierMixin:
    return HistGradientBoostingClassifier(random_state=seed)


def _mlp(seed: int) -> ClassifierMixin:
    network = MLPClassifier((64, 32), early_stopping=True, max_iter=300, random_state=seed)
    return make_pipeline(StandardScaler(), network)


def _svc(seed: int) -> ClassifierMixin:
    # A support vector machine has no probabilities of its own: Platt scaling gives it some.
    calibrated = CalibratedClassifierCV(SVC(C=10, random_state=seed), ensemble=False, cv=3)
    return make_pipeline(StandardScaler(), calibrated)


CANDIDATES: Mapping[str, Callable[[int], ClassifierMixin]] = {
    "decision_tree": _decision_tree,
    "hist_gradient_boosting": _hist_gradient_boosting,
    "mlp": _mlp,
    "random_forest": _random_forest,
    "svc": _svc,
}
"""Makes each candidate, unfitted, from a seed."""


def parse_candidates(names: str) -> tuple[str, ...]:
    """Read a list of candidates: names joined by commas, or `all`.

    Raises:
        TrainingError: A name is unknown.
    """
    if names.strip() == ALL:
        return tuple(CANDIDATES)
    chosen = tuple(name.strip() for name in names.split(","))
    unknown = [name for name in chosen if name not in CANDIDATES]
    if unknown:
        raise TrainingError(
            f"unknown candidate {unknown[0]!r}: choose from {', '.join(CANDIDATES)}, or {ALL}"
        )
    return chosen
