"""Metrics of four rows, computed by hand, and the evaluation of models on the hold-outs."""

from pathlib import Path

import numpy as np
import pytest

from skyclass.survey.features import Mode
from skyclass.training.calibration import expected_calibration_error
from skyclass.training.dataset import Dataset
from skyclass.training.evaluation import ModelEvaluation, evaluate, evaluate_models
from skyclass.training.fit import fit
from skyclass.training.fitted_models import load_fitted_models

LABELS = np.array(["GALAXY", "GALAXY", "QSO", "STAR"], dtype=object)
PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.1, 0.0, 0.9]])


def test_metrics_of_four_rows() -> None:
    metrics = evaluate(LABELS, PROBABILITIES, Mode.PHOTOMETRIC, "random_holdout")
    assert (metrics.rows, metrics.accuracy, metrics.mode) == (4, 0.75, Mode.PHOTOMETRIC)
    assert metrics.confusion == ((1, 1, 0), (0, 1, 0), (0, 0, 1))
    assert metrics.classes["QSO"].precision == 0.5
    assert metrics.classes["GALAXY"].recall == 0.5
    assert metrics.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert metrics.log_loss == pytest.approx(-np.log([0.8, 0.3, 0.7, 0.9]).mean())
    assert metrics.calibration_error == expected_calibration_error(LABELS, PROBABILITIES)


def test_calibration_error_is_the_mean_gap_between_confidence_and_accuracy() -> None:
    # Each row is in a bin of its own: confidences 0.8, 0.6, 0.7, 0.9; the second row is wrong.
    expected = (0.2 + 0.6 + 0.3 + 0.1) / 4
    assert expected_calibration_error(LABELS, PROBABILITIES) == pytest.approx(expected)


def test_calibration_error_of_certain_and_correct_predictions_is_zero() -> None:
    assert expected_calibration_error(LABELS, np.eye(3)[[0, 0, 1, 2]]) == 0


def test_class_without_rows_scores_zero_instead_of_nan() -> None:
    metrics = evaluate(LABELS[:2], PROBABILITIES[:2], Mode.SPECTROSCOPIC, "random_holdout")
    assert metrics.classes["STAR"].support == 0
    assert metrics.classes["STAR"].f1 == 0


def test_certain_and_wrong_predictions_cost_the_same_in_both_precisions() -> None:
    certain = np.eye(3)[[0, 1, 1, 2]]  # the second row is wrong
    losses = [
        evaluate(LABELS, certain.astype(kind), Mode.PHOTOMETRIC, "random_holdout").log_loss
        for kind in (np.float32, np.float64)
    ]
    assert losses[0] == losses[1]


def test_models_are_evaluated_on_both_holdouts(
    dataset: Dataset, evaluation: ModelEvaluation
) -> None:
    random, temporal = evaluation.evaluations
    assert (random.split, random.rows) == ("random_holdout", dataset.random_holdout.sum())
    assert (temporal.split, temporal.rows) == ("temporal_holdout", dataset.temporal_holdout.sum())
    assert random.mode == temporal.mode == Mode.SPECTROSCOPIC
    assert random.accuracy > 0.9


def test_rows_of_one_night_have_no_temporal_holdout(dataset: Dataset, tmp_path: Path) -> None:
    one_night = Dataset(dataset.rows.assign(mjd=55_000), dataset.summary, dataset.mode)
    fit(one_night, ["decision_tree"], 0, tmp_path)
    evaluation = evaluate_models(one_night, load_fitted_models(tmp_path))
    assert [each.split for each in evaluation.evaluations] == ["random_holdout"]


def test_too_few_older_rows_of_a_class_are_no_temporal_training_set(
    dataset: Dataset, tmp_path: Path
) -> None:
    is_star = (dataset.rows["class"] == "STAR").to_numpy()
    newest = is_star & (is_star.cumsum() > 2) | (np.arange(len(is_star)) % 3 == 0)
    rows = dataset.rows.assign(mjd=55_000 + newest).sort_values("mjd", ignore_index=True)
    two_stars = Dataset(rows, dataset.summary, dataset.mode)
    assert 0 < (two_stars.labels[~two_stars.temporal_holdout] == "STAR").sum() <= 2
    fit(two_stars, ["svc"], 0, tmp_path, budget_seconds=0)
    assert load_fitted_models(tmp_path).temporal is None
