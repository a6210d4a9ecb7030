"""Choice of a calibration, by cross-validation."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skyclass.survey.observation import CLASSES
from skyclass.training.candidates import Calibration
from skyclass.training.recalibration import calibrate, choose_calibration
from skyclass.training.results import CalibrationResult

pytestmark = pytest.mark.slow

Rows = tuple[np.ndarray, np.ndarray]
METHODS = (Calibration.TEMPERATURE, Calibration.SIGMOID)


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Three overlapping Gaussian classes; the classes are in order, as nights are in a dataset."""
    random = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], 700)
    centres = np.array([[0, 0], [2, 0], [0, 2]])
    features = centres[codes] + random.normal(size=(len(codes), 2))
    return features.astype(np.float32), np.array(CLASSES, dtype=object)[codes]


def test_overconfident_model_is_calibrated(rows: Rows) -> None:
    # Each feature repeated four times: naive Bayes counts the same evidence four times.
    features, labels = np.tile(rows[0], 4), rows[1]
    found = choose_calibration(GaussianNB, METHODS, features, labels, seed=0)
    raw, *_ = found.scores
    chosen = next(score for score in found.scores if score.method is found.method)
    assert found.method is not Calibration.NONE
    assert chosen.gain > chosen.gain_error > 0
    assert chosen.log_loss == pytest.approx(raw.log_loss - chosen.gain)
    assert chosen.calibration_error < raw.calibration_error / 2


def test_model_that_is_calibrated_stays_as_it_is(rows: Rows) -> None:
    found = choose_calibration(LogisticRegression, METHODS, *rows, seed=0)
    assert found.method is Calibration.NONE
    assert [score.method for score in found.scores] == [Calibration.NONE, *METHODS]


def test_temperature_changes_no_class(rows: Rows) -> None:
    features, labels = np.tile(rows[0], 4), rows[1]
    raw = GaussianNB().fit(features, labels)
    calibrated = calibrate(GaussianNB(), Calibration.TEMPERATURE, 0).fit(features, labels)
    np.testing.assert_array_equal(calibrated.predict(features), raw.predict(features))
    assert not np.allclose(calibrated.predict_proba(features), raw.predict_proba(features))


def test_calibrator_is_fitted_to_rows_that_its_model_has_not_seen(rows: Rows) -> None:
    class Memory(GaussianNB):
        """Counts the rows of each prediction that it was fitted on."""

        def fit(self, features: np.ndarray, labels: np.ndarray) -> "Memory":
            self.seen_ = {tuple(row) for row in features.tolist()}
            return super().fit(features, labels)

        def predict_proba(self, features: np.ndarray) -> np.ndarray:
            seen.append(sum(tuple(row) in self.seen_ for row in features.tolist()))
            return super().predict_proba(features)

    seen: list[int] = []
    choose_calibration(Memory, (Calibration.TEMPERATURE,), *rows, seed=0)
    assert seen
    assert not any(seen)


def test_candidate_without_methods_is_not_cross_validated(rows: Rows) -> None:
    assert choose_calibration(GaussianNB, (), *rows, seed=0) == CalibrationResult()


def test_choice_is_reproducible(rows: Rows) -> None:
    first, second = (choose_calibration(GaussianNB, METHODS, *rows, seed=3) for _ in range(2))
    assert first == second
