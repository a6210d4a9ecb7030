"""Challengers with one defect each are rejected for that defect, and honest ones pass.

All models are photometric and fitted on simulated rows of three eras.
"""

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier

from skyclass.registry.verdicts import GateVerdict, Outcome
from skyclass.survey.features import Mode
from skyclass.survey.observation import FIRST_MJD, Era
from skyclass.training.dataset import Dataset
from skyclass.training.gate import check_gate
from skyclass.training.parameters import PromotionPolicy
from tests.support.gate import (
    Probabilities,
    make_challenger,
    make_champion,
    make_dataset_of_eras,
)

pytestmark = pytest.mark.slow

EQUAL_MODELS = 25


@pytest.fixture(scope="module")
def survey() -> Dataset:
    """15,000 rows of all eras in photometric mode: 3,000 in the random hold-out."""
    return make_dataset_of_eras(Mode.PHOTOMETRIC, rows_per_era=5_000)


@pytest.fixture(scope="module")
def honest(survey: Dataset) -> Probabilities:
    """Predictions of a model that was fitted on all rows outside the hold-out."""
    return fit_and_predict(survey)


@pytest.fixture(scope="module")
def weak(survey: Dataset) -> Probabilities:
    """Predictions of a model that was fitted on one row in ten."""
    return fit_and_predict(survey, keep=draw(survey) < 0.1)


def draw(survey: Dataset) -> npt.NDArray[np.float64]:
    """Return one random number for each row."""
    return np.random.default_rng(0).random(len(survey.rows))


def find_rows(survey: Dataset, class_name: str, fainter: float, brighter: float) -> npt.NDArray:
    """Return a mask of the rows of a class between two r magnitudes."""
    rows = survey.rows
    return ((rows["class"] == class_name) & rows["r"].between(brighter, fainter)).to_numpy()


def fit_and_predict(
    survey: Dataset,
    labels: npt.NDArray[np.object_] | None = None,
    keep: npt.NDArray[np.bool_] | None = None,
    model: ClassifierMixin | None = None,
) -> Probabilities:
    """Fit a model outside the random hold-out, and predict the hold-out.

    Args:
        survey: The rows.
        labels: Labels to fit; None for the true ones.
        keep: Rows to fit; None for all.
        model: The unfitted model; None for gradient boosting.
    """
    held_out = survey.random_holdout
    fitted_on = ~held_out if keep is None else ~held_out & keep
    labels = survey.labels if labels is None else labels
    model = model or HistGradientBoostingClassifier(max_iter=30, random_state=0)
    model.fit(survey.features[fitted_on], labels[fitted_on])
    return model.predict_proba(survey.features[held_out])


def check(survey: Dataset, challenger: Probabilities, champion: Probabilities) -> GateVerdict:
    """Check the gate under the policy that is the easiest to meet."""
    return check_gate(
        survey,
        make_challenger(survey, challenger),
        make_champion(survey, champion),
        PromotionPolicy.IF_NOT_WORSE,
    )


def list_failed(verdict: GateVerdict, *groups: str) -> set[str]:
    return {
        check.subject
        for check in verdict.checks
        if check.outcome is Outcome.FAILED and check.group in groups
    }


def test_swapped_labels_of_faint_quasars(survey: Dataset, honest: Probabilities) -> None:
    labels = survey.labels.copy()
    labels[find_rows(survey, "QSO", fainter=22, brighter=21)] = "GALAXY"
    verdict = check(survey, fit_and_predict(survey, labels), honest)
    assert not verdict.passed
    expected = {"QSO, r 21 to 22, boss", "QSO, r 21 to 22, eboss"}
    assert list_failed(verdict, "slice") == list_failed(verdict, "slice_floor") == expected
    assert "in QSO, r 21 to 22, eboss" in verdict.reason


def test_a_third_of_the_faint_quasars_swapped_is_above_the_floor_but_worse(
    survey: Dataset, honest: Probabilities
) -> None:
    labels = survey.labels.copy()
    faint = find_rows(survey, "QSO", fainter=22, brighter=21)
    labels[faint & (draw(survey) < 0.35)] = "GALAXY"
    verdict = check(survey, fit_and_predict(survey, labels), honest)
    assert not verdict.passed
    assert not list_failed(verdict, "slice_floor")
    assert list_failed(verdict, "slice") == {"QSO, r 21 to 22, eboss"}
    assert "recall" in verdict.reason
    assert "in QSO, r 21 to 22, eboss" in verdict.reason


def test_training_without_one_era(survey: Dataset, honest: Probabilities) -> None:
    nights = survey.rows["mjd"].to_numpy()
    other_eras = (nights < FIRST_MJD[Era.BOSS]) | (nights >= FIRST_MJD[Era.EBOSS])
    verdict = check(survey, fit_and_predict(survey, keep=other_eras), honest)
    assert not verdict.passed
    slices = list_failed(verdict, "slice", "slice_floor")
    assert len(slices) >= 3
    assert {name.rsplit(", ", 1)[-1] for name in slices} == {"boss"}
    assert "boss" in verdict.reason


def test_overfitted(survey: Dataset, honest: Probabilities) -> None:
    grown = fit_and_predict(survey, model=DecisionTreeClassifier(random_state=0))
    verdict = check(survey, grown, honest)
    assert not verdict.passed
    assert {"accuracy", "macro-F1", "log-loss"} <= list_failed(verdict, "random_holdout")
    assert "calibration error 0.1" in verdict.reason


def test_miscalibrated_with_the_same_classes(survey: Dataset, honest: Probabilities) -> None:
    sharpened = honest**2
    sharpened /= sharpened.sum(axis=1, keepdims=True)
    verdict = check(survey, sharpened, honest)
    assert not verdict.passed
    assert verdict.challenger_macro_f1 == verdict.champion_macro_f1
    assert not list_failed(verdict, "slice", "floor")
    assert list_failed(verdict, "random_holdout") == {"log-loss"}
    assert verdict.reason.startswith("worse than the champion: log-loss")


def test_better_on_average_but_worse_on_bright_stars(survey: Dataset, weak: Probabilities) -> None:
    bright = find_rows(survey, "STAR", fainter=18, brighter=0)
    fitted_without = fit_and_predict(survey, keep=~bright | (draw(survey) < 0.1))
    verdict = check(survey, fitted_without, weak)
    assert verdict.champion_macro_f1 is not None
    assert verdict.challenger_macro_f1 > verdict.champion_macro_f1
    assert not verdict.passed
    assert list_failed(verdict, "slice") == {"STAR, r < 18, legacy"}
    assert "in STAR, r < 18, legacy" in verdict.reason


@pytest.mark.parametrize("policy", [PromotionPolicy.IF_BETTER, PromotionPolicy.IF_NOT_WORSE])
def test_honest_better_challenger_passes(
    survey: Dataset, honest: Probabilities, weak: Probabilities, policy: PromotionPolicy
) -> None:
    challenger, champion = make_challenger(survey, honest), make_champion(survey, weak)
    verdict = check_gate(survey, challenger, champion, policy)
    assert verdict.passed, verdict.reason
    assert verdict.reason.startswith("better than the champion: ")


def test_at_most_five_in_a_hundred_equal_challengers_are_rejected(survey: Dataset) -> None:
    held_out = survey.random_holdout
    features, labels = survey.features[~held_out], survey.labels[~held_out]
    probe = survey.features[held_out]
    predictions = []
    for seed in range(EQUAL_MODELS):
        chosen = np.random.default_rng(seed).integers(0, len(labels), len(labels))
        model = HistGradientBoostingClassifier(max_iter=10, random_state=seed)
        predictions.append(model.fit(features[chosen], labels[chosen]).predict_proba(probe))
    neighbours = [
        (number, (number + distance) % EQUAL_MODELS)
        for number in range(EQUAL_MODELS)
        for distance in (1, 2)
    ]
    verdicts = [
        check(survey, predictions[challenger], predictions[champion])
        for pair in neighbours
        for challenger, champion in (pair, pair[::-1])
    ]
    rejected = [verdict.reason for verdict in verdicts if not verdict.passed]
    assert len(verdicts) == 100
    assert len(rejected) <= 5, rejected
