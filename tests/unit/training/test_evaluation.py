"""Measured quality, checked by hand."""

import numpy as np
import pytest

from skyclass.survey.features import Mode
from skyclass.training.evaluation import calibration_error, evaluate, predicted_classes

LABELS = np.array(["GALAXY", "GALAXY", "QSO", "STAR"], dtype=object)
PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.1, 0.0, 0.9]])


def test_scores_of_four_rows() -> None:
    found = evaluate(LABELS, PROBABILITIES, Mode.PHOTOMETRIC, "random_holdout")
    assert (found.rows, found.accuracy, found.mode) == (4, 0.75, Mode.PHOTOMETRIC)
    assert found.confusion == ((1, 1, 0), (0, 1, 0), (0, 0, 1))
    assert found.classes["QSO"].precision == 0.5
    assert found.classes["GALAXY"].recall == 0.5
    assert found.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert found.log_loss == pytest.approx(-np.log([0.8, 0.3, 0.7, 0.9]).mean())


def test_calibration_error_is_the_mean_gap_between_confidence_and_accuracy() -> None:
    # Each row is a bin of its own: confidences 0.8, 0.6, 0.7, 0.9; the second row is wrong.
    assert calibration_error(LABELS, PROBABILITIES) == pytest.approx((0.2 + 0.6 + 0.3 + 0.1) / 4)


def test_a_certain_and_right_model_is_perfectly_calibrated() -> None:
    assert calibration_error(LABELS, np.eye(3)[[0, 0, 1, 2]]) == 0


def test_a_class_without_rows_scores_zero_and_not_nan() -> None:
    found = evaluate(LABELS[:2], PROBABILITIES[:2], Mode.SPECTROSCOPIC, "random_holdout")
    assert found.classes["STAR"].support == 0
    assert found.classes["STAR"].f1 == 0


def test_the_most_probable_class_is_predicted() -> None:
    assert list(predicted_classes(PROBABILITIES)) == ["GALAXY", "QSO", "QSO", "STAR"]
