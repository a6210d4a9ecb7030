"""The candidate algorithms of the search. To add one, add an entry to `CANDIDATES`.

With redshift they differ by less than 0.003 in macro-F1, so none is tuned. Each imports its part of
scikit-learn when it is made: commands and steps that only check a name would wait for it.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from skyclass.errors import TrainingError

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

ALL = "all"


def _make_decision_tree(seed: int) -> "ClassifierMixin":
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(min_samples_leaf=10, random_state=seed)


def _make_random_forest(seed: int) -> "ClassifierMixin":
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=100, n_jobs=-1, random_state=seed)


def _make_hist_gradient_boosting(seed: int) -> "ClassifierMixin":
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(random_state=seed)


def _make_mlp(seed: int) -> "ClassifierMixin":
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    network = MLPClassifier((64, 32), early_stopping=True, max_iter=300, random_state=seed)
    return make_pipeline(StandardScaler(), network)


def _make_svc(seed: int) -> "ClassifierMixin":
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    # SVC has no predict_proba of its own: Platt scaling adds calibrated probabilities.
    calibrated = CalibratedClassifierCV(SVC(C=10, random_state=seed), ensemble=False, cv=3)
    return make_pipeline(StandardScaler(), calibrated)


CANDIDATES: Mapping[str, Callable[[int], "ClassifierMixin"]] = {
    "decision_tree": _make_decision_tree,
    "hist_gradient_boosting": _make_hist_gradient_boosting,
    "mlp": _make_mlp,
    "random_forest": _make_random_forest,
    "svc": _make_svc,
}
"""Functions that make an unfitted candidate from a seed, by name."""


def parse_candidates(names: str) -> tuple[str, ...]:
    """Parse the parameter `candidates`: names separated by commas, or `all`.

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
