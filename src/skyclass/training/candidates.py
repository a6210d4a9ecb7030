"""The candidate algorithms of the search. To add one, add an entry to `CANDIDATES`.

Accuracy is at its ceiling with these inputs: with redshift the candidates differ by less than 0.003
in macro-F1. Their settings decide how good the probabilities are, and how large a release is. Each
imports its part of scikit-learn when it is made: commands and steps that only check a name would
wait for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from skyclass.errors import TrainingError

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

ALL = "all"

MAX_LEAF_NODES = 1_000
"""Most leaves of a forest's tree. A leaf costs 150 bytes in a release: 15 MB for 100 trees,
whatever the number of rows. On 82,000 rows, such trees also have better probabilities (log-loss
0.333) than unbounded ones (0.387)."""


class Calibration(StrEnum):
    """How the probabilities of a model are calibrated: a method of `CalibratedClassifierCV`.

    Isotonic regression is left out: it changes classes, and its ONNX export predicts otherwise than
    scikit-learn (differences of up to 0.05).
    """

    NONE = "none"
    TEMPERATURE = "temperature"
    SIGMOID = "sigmoid"


@dataclass(frozen=True)
class Candidate:
    """A family of models that the search compares.

    Attributes:
        factory: Makes an unfitted model with the default settings from a seed. It sets no `n_jobs`:
            a forest that starts threads for each request is five times slower.
        space: Values of the settings that the search tries, by the names of `set_params`.
        smaller: Settings of a smaller and faster model, which the search always compares with the
            default ones; empty if there are none.
        calibrations: Methods that may be better than none. On real rows a sigmoid raised the
            log-loss of every family but those whose trees have pure leaves.
        handles_missing: Whether the model takes NaN, for an input that was not measured.
        max_rows: Most rows that the model is fitted on, a stratified sample of more; None for no
            limit.
    """

    factory: Callable[[int], "ClassifierMixin"]
    space: Mapping[str, Sequence[int | float]] = field(default_factory=dict)
    smaller: Mapping[str, int | float] = field(default_factory=dict)
    calibrations: tuple[Calibration, ...] = (Calibration.TEMPERATURE,)
    handles_missing: bool = False
    max_rows: int | None = None

    def make(
        self, seed: int, settings: Mapping[str, int | float] | None = None
    ) -> "ClassifierMixin":
        """Make an unfitted model.

        Args:
            seed: Seed of the fit.
            settings: Settings that differ from the default ones.
        """
        return self.factory(seed).set_params(**(settings or {}))


def _make_decision_tree(seed: int) -> "ClassifierMixin":
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(
        min_samples_leaf=10, max_leaf_nodes=MAX_LEAF_NODES, random_state=seed
    )


def _make_random_forest(seed: int) -> "ClassifierMixin":
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        n_estimators=100, min_samples_leaf=3, max_leaf_nodes=MAX_LEAF_NODES, random_state=seed
    )


def _make_hist_gradient_boosting(seed: int) -> "ClassifierMixin":
    from sklearn.ensemble import HistGradientBoostingClassifier

    # By default, only more than 10,000 rows stop early: fewer would be overfitted.
    return HistGradientBoostingClassifier(early_stopping=True, random_state=seed)


def _make_forest_and_boosting(seed: int) -> "ClassifierMixin":
    from sklearn.ensemble import VotingClassifier

    # Half the trees of half the rows: the mean is as good, at a third of the cost.
    forest = _make_random_forest(seed).set_params(
        n_estimators=50, max_samples=0.5, max_features=3, max_leaf_nodes=MAX_LEAF_NODES // 2
    )
    boosting = _make_hist_gradient_boosting(seed).set_params(max_features=0.5)
    members = [("forest", forest), ("boosting", boosting)]
    # skl2onnx only converts what is not flattened.
    return VotingClassifier(members, voting="soft", flatten_transform=False)


def _make_mlp(seed: int) -> "ClassifierMixin":
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    network = MLPClassifier((64, 32), early_stopping=True, max_iter=300, random_state=seed)
    return make_pipeline(StandardScaler(), network)


def _make_svc(seed: int) -> "ClassifierMixin":
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    # SVC has no predict_proba of its own: Platt scaling adds calibrated probabilities. The rows are
    # in order of time, and each fold needs all of it.
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    calibrated = CalibratedClassifierCV(SVC(C=10, random_state=seed), ensemble=False, cv=folds)
    return make_pipeline(StandardScaler(), calibrated)


_TREE_CALIBRATIONS = (Calibration.TEMPERATURE, Calibration.SIGMOID)

CANDIDATES: Mapping[str, Candidate] = {
    "decision_tree": Candidate(
        _make_decision_tree,
        {"min_samples_leaf": (5, 10, 20, 40), "max_leaf_nodes": (50, 100, 200, MAX_LEAF_NODES)},
        calibrations=_TREE_CALIBRATIONS,
        handles_missing=True,
    ),
    "forest_and_boosting": Candidate(
        _make_forest_and_boosting,
        {
            "forest__min_samples_leaf": (2, 3, 5),
            "forest__max_features": (2, 3),
            "boosting__learning_rate": (0.06, 0.1),
            "boosting__max_features": (0.5, 1.0),
            "boosting__l2_regularization": (0, 10),
            "boosting__max_leaf_nodes": (15, 31),
        },
        smaller={
            "forest__n_estimators": 25,
            "forest__max_leaf_nodes": MAX_LEAF_NODES // 8,
            "boosting__max_leaf_nodes": 15,
        },
        handles_missing=True,
    ),
    "hist_gradient_boosting": Candidate(
        _make_hist_gradient_boosting,
        {
            "learning_rate": (0.06, 0.1),
            "max_features": (0.5, 1.0),
            "l2_regularization": (0, 10),
            "min_samples_leaf": (20, 50),
            "max_leaf_nodes": (10, 15, 31),
        },
        handles_missing=True,
    ),
    "mlp": Candidate(
        _make_mlp,
        {
            "mlpclassifier__alpha": (1e-4, 1e-3, 1e-2),
            "mlpclassifier__learning_rate_init": (1e-3, 3e-3),
        },
    ),
    "random_forest": Candidate(
        _make_random_forest,
        {
            "min_samples_leaf": (2, 3, 5),
            "max_features": (2, 3),
            "max_leaf_nodes": (250, 500, MAX_LEAF_NODES),
            "n_estimators": (50, 100),
        },
        {"n_estimators": 50, "max_leaf_nodes": MAX_LEAF_NODES // 4},
        _TREE_CALIBRATIONS,
        handles_missing=True,
    ),
    "svc": Candidate(
        _make_svc,
        {"calibratedclassifiercv__estimator__C": (3, 10, 30, 100)},
        calibrations=(),
        max_rows=20_000,  # time and size grow faster than the rows
    ),
}
"""The candidates by name."""


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
