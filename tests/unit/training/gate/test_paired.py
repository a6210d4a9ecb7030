"""The paired tests, beside values computed by other means, and the correction of p-values."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from skyclass.survey.observation import CLASSES
from skyclass.training.gate.paired import (
    compare_correct,
    compare_log_loss,
    compare_macro_f1,
    correct_holm,
)

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 2_000)
STRONG, WEAK = (RNG.dirichlet(np.ones(3), 2_000) + np.eye(3)[LABELS] * gain for gain in (2, 0.7))
STRONG, WEAK = (each / each.sum(axis=1, keepdims=True) for each in (STRONG, WEAK))


def test_mcnemar_is_the_binomial_test_of_the_discordant_rows() -> None:
    challenger = np.array([True] * 90 + [False] * 10)
    champion = np.array([True] * 88 + [False] * 2 + [True] * 8 + [False] * 2)
    found = compare_correct(challenger, champion)
    assert (found.only_challenger, found.only_champion, found.rows) == (2, 8, 100)
    assert found.p_worse == pytest.approx((1 + 10 + 45) / 2**10)  # at most 2 of 10 fair coins
    assert found.p_better == pytest.approx(1 - (1 + 10) / 2**10)
    assert (found.challenger, found.champion) == (0.90, 0.96)


def test_bootstrap_resamples_rows_and_not_predictions() -> None:
    predicted, expected = STRONG.argmax(axis=1), WEAK.argmax(axis=1)
    found = compare_macro_f1(LABELS, predicted, expected)
    assert found.challenger == pytest.approx(f1_score(LABELS, predicted, average="macro"))
    assert found.champion == pytest.approx(f1_score(LABELS, expected, average="macro"))
    assert found.p_better < 0.001 < 0.999 < found.p_worse
    assert found == compare_macro_f1(LABELS, predicted, expected), "the test is seeded"


def test_log_loss_is_that_of_scikit_learn() -> None:
    found = compare_log_loss(LABELS, STRONG, WEAK)
    assert found.challenger == pytest.approx(log_loss(np.array(CLASSES)[LABELS], STRONG))
    assert found.p_better < 1e-6
    assert found.p_worse > 0.999


def test_one_row_with_probability_zero_does_not_decide() -> None:
    probabilities = STRONG.copy()
    probabilities[0] = np.eye(3)[(LABELS[0] + 1) % 3]
    found = compare_log_loss(LABELS, probabilities, STRONG)
    assert np.isfinite(found.challenger)
    assert found.p_worse > 0.05


def test_equal_predictions_are_neither_better_nor_worse() -> None:
    predicted = STRONG.argmax(axis=1)
    for found in (
        compare_correct(predicted == LABELS, predicted == LABELS),
        compare_macro_f1(LABELS, predicted, predicted),
        compare_log_loss(LABELS, STRONG, STRONG),
    ):
        assert (found.p_worse, found.p_better) == (1, 1), found.name


def test_the_export_of_a_model_is_neither_better_nor_worse_than_the_model() -> None:
    # Single precision, and a bias in one direction on every row: a test would be significant.
    exported = (STRONG * (1 - 1e-6) + np.eye(3)[LABELS] * 1e-6).astype(np.float32)
    found = compare_log_loss(LABELS, STRONG, exported)
    assert (found.p_worse, found.p_better) == (1, 1)


def test_holm_corrects_each_p_value_for_the_hypotheses_that_are_left() -> None:
    assert correct_holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert correct_holm([0.6, 0.9]) == [1.0, 1.0]
    assert correct_holm([]) == []
