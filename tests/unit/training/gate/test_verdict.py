"""The verdict on predictions made by hand: floors, comparisons, policies and the reason."""

import numpy as np
import pytest

from skyclass.registry.verdicts import Check, GateVerdict, Outcome
from skyclass.survey.features import Mode
from skyclass.survey.observation import CLASSES
from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import TEMPORAL_HOLDOUT, ModelEvaluation, evaluate
from skyclass.training.gate import check_gate
from skyclass.training.parameters import PromotionPolicy
from tests.support.gate import (
    CHAMPION,
    make_challenger,
    make_champion,
    make_dataset_of_eras,
    predict_with_errors,
)


@pytest.fixture(scope="module")
def survey() -> Dataset:
    """Rows of all eras in spectroscopic mode: 1,800 in the random hold-out."""
    return make_dataset_of_eras(Mode.SPECTROSCOPIC, rows_per_era=3_000)


def find_failed(verdict: GateVerdict) -> list[Check]:
    return [check for check in verdict.checks if check.outcome is Outcome.FAILED]


def test_first_model_needs_only_the_floors(survey: Dataset) -> None:
    verdict = check_gate(survey, make_challenger(survey, predict_with_errors(survey, 0.02)), None)
    assert verdict.passed
    assert verdict.reason == "reaches every floor, and there is no champion yet"
    assert {check.group for check in verdict.checks} == {"floor", "slice_floor"}


@pytest.mark.parametrize(
    ("rate", "confidence", "message"),
    [
        (0.10, 0.90, "accuracy 0.9"),
        (0.10, 0.90, "< 0.93 on the random hold-out"),
        (0.01, 0.50, "calibration error 0.4"),
        (0.01, 0.50, "> 0.05 on the random hold-out"),
    ],
)
def test_model_below_a_floor_fails_even_if_it_beats_the_champion(
    survey: Dataset, rate: float, confidence: float, message: str
) -> None:
    challenger = predict_with_errors(survey, rate, confidence=confidence)
    champion = make_champion(survey, predict_with_errors(survey, 0.5))
    verdict = check_gate(survey, make_challenger(survey, challenger), champion)
    assert not verdict.passed
    assert verdict.reason.startswith("below the spectroscopic floor: ")
    assert message in verdict.reason


def test_slice_below_its_floor_is_named(survey: Dataset) -> None:
    held_out = survey.rows[survey.random_holdout]
    faint = (held_out["class"] == "QSO") & held_out["r"].between(21, 22) & (held_out["mjd"] > 56850)
    predicted = predict_with_errors(survey, 0.5, among=faint.to_numpy())
    verdict = check_gate(survey, make_challenger(survey, predicted), None)
    assert not verdict.passed
    assert "< 0.8 in QSO, r 21 to 22, eboss" in verdict.reason
    assert {check.group for check in find_failed(verdict)} == {"slice_floor"}


def test_excellent_slice_of_few_rows_reaches_its_floor(survey: Dataset) -> None:
    perfect = make_challenger(survey, predict_with_errors(survey, 0))
    checks = [
        check for check in check_gate(survey, perfect, None).checks if check.group == "slice_floor"
    ]
    assert min(check.rows for check in checks) < 100
    assert all(check.outcome is Outcome.PASSED for check in checks)


def test_floors_of_the_temporal_model_decide(survey: Dataset) -> None:
    good = make_challenger(survey, predict_with_errors(survey, 0.01))
    labels = survey.labels[survey.temporal_holdout]
    wrong = np.tile([0.9, 0.05, 0.05], (len(labels), 1))
    temporal = evaluate(labels, wrong, survey.mode, TEMPORAL_HOLDOUT)
    both = ModelEvaluation((*good.evaluations, temporal), good.random_probabilities)
    verdict = check_gate(survey, both, None)
    assert not verdict.passed
    assert "on the temporal hold-out" in verdict.reason


@pytest.mark.parametrize("class_name", ["GALAXY", "QSO"])
def test_class_without_rows_on_the_newest_nights_does_not_reject(
    survey: Dataset, class_name: str
) -> None:
    good = make_challenger(survey, predict_with_errors(survey, 0.01))
    labels = survey.labels[survey.temporal_holdout]
    labels = labels[labels != class_name]
    right = np.eye(3)[np.argmax([labels == name for name in CLASSES], axis=0)]
    temporal = evaluate(labels, right, survey.mode, TEMPORAL_HOLDOUT)
    both = ModelEvaluation((*good.evaluations, temporal), good.random_probabilities)
    verdict = check_gate(survey, both, None)
    assert verdict.passed, verdict.reason
    subjects = {check.subject for check in verdict.checks if check.group == "temporal_floor"}
    assert subjects == ({"accuracy"} if class_name == "QSO" else {"accuracy", "QSO recall"})


def test_better_challenger_passes_with_the_decisive_numbers(survey: Dataset) -> None:
    challenger = make_challenger(survey, predict_with_errors(survey, 0.01))
    champion = make_champion(survey, predict_with_errors(survey, 0.05))
    verdict = check_gate(survey, challenger, champion)
    assert verdict.passed
    assert verdict.reason.startswith("better than the champion: ")
    assert "p < 0.001" in verdict.reason
    assert "not worse in any of" in verdict.reason
    assert verdict.champion == CHAMPION
    assert verdict.champion_macro_f1 == champion.evaluation.macro_f1
    assert verdict.challenger_macro_f1 == challenger.random.macro_f1
    assert verdict.rows == survey.random_holdout.sum()


@pytest.mark.parametrize(
    ("policy", "passed"),
    [
        (PromotionPolicy.IF_BETTER, False),
        (PromotionPolicy.IF_NOT_WORSE, True),
        (PromotionPolicy.APPROVE, True),
        (PromotionPolicy.NEVER, False),
    ],
)
def test_equal_challenger_passes_only_if_newer_data_suffice(
    survey: Dataset, policy: PromotionPolicy, passed: bool
) -> None:
    challenger = make_challenger(survey, predict_with_errors(survey, 0.03, seed=1))
    champion = make_champion(survey, predict_with_errors(survey, 0.03, seed=2))
    verdict = check_gate(survey, challenger, champion, policy)
    assert verdict.passed is passed
    start = "trained on newer data" if passed else "not significantly better than the champion"
    assert verdict.reason.startswith(start)


def test_retraining_on_the_same_rows_is_not_newer(survey: Dataset) -> None:
    same = predict_with_errors(survey, 0.03)
    champion = make_champion(survey, same)
    repeated = Dataset(survey.rows, champion.training_set, survey.mode)
    verdict = check_gate(
        repeated, make_challenger(repeated, same), champion, PromotionPolicy.IF_NOT_WORSE
    )
    assert not verdict.passed
    assert verdict.reason.startswith("trained on no newer data than the champion")
    approved = check_gate(
        repeated, make_challenger(repeated, same), champion, PromotionPolicy.APPROVE
    )
    assert approved.passed
    assert approved.reason.startswith("not significantly better than the champion, and not worse")


@pytest.mark.parametrize("policy", PromotionPolicy)
def test_worse_challenger_fails_under_every_policy(
    survey: Dataset, policy: PromotionPolicy
) -> None:
    challenger = make_challenger(survey, predict_with_errors(survey, 0.03))
    champion = make_champion(survey, predict_with_errors(survey, 0.01))
    verdict = check_gate(survey, challenger, champion, policy)
    assert not verdict.passed
    assert verdict.reason.startswith("worse than the champion: ")


def test_worse_on_the_newest_nights_fails(survey: Dataset) -> None:
    newest = survey.temporal_holdout[survey.random_holdout]
    predicted = predict_with_errors(survey, 0.06, among=newest)
    champion = make_champion(survey, predict_with_errors(survey, 0.06, among=~newest, seed=1))
    verdict = check_gate(survey, make_challenger(survey, predicted), champion)
    assert not verdict.passed
    assert "on the newest nights of the random hold-out" in verdict.reason


def test_comparison_reports_rows_and_discordant_pairs(survey: Dataset) -> None:
    challenger = predict_with_errors(survey, 0.02, seed=1)
    champion = predict_with_errors(survey, 0.03, seed=2)
    verdict = check_gate(
        survey, make_challenger(survey, challenger), make_champion(survey, champion)
    )
    check = next(
        check
        for check in verdict.checks
        if (check.group, check.subject) == ("random_holdout", "accuracy")
    )
    assert check.challenger is not None
    assert check.champion is not None
    assert check.only_challenger is not None
    assert check.only_champion is not None
    difference = (check.only_challenger - check.only_champion) / check.rows
    assert check.challenger - check.champion == pytest.approx(difference)


@pytest.mark.parametrize(("lost", "found"), [(0.02, False), (0.3, True)])
def test_size_of_a_loss_that_a_slice_of_a_hundred_rows_shows(
    survey: Dataset, lost: float, found: bool
) -> None:
    held_out = survey.rows[survey.random_holdout]
    faint = (held_out["class"] == "QSO") & held_out["r"].between(21, 22) & (held_out["mjd"] > 56850)
    assert 80 < faint.sum() < 150
    poisoned = predict_with_errors(survey, lost, among=faint.to_numpy())
    champion = make_champion(survey, predict_with_errors(survey, 0))
    verdict = check_gate(survey, make_challenger(survey, poisoned), champion)
    worse = {check.subject for check in find_failed(verdict) if check.group == "slice"}
    assert worse == ({"QSO, r 21 to 22, eboss"} if found else set())
