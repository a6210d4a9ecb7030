"""Behaviour that is expected of any classifier of SDSS objects."""

import numpy as np
import pytest

from skyclass.registry.models import Engine
from skyclass.survey.features import Mode, make_features
from skyclass.survey.observation import CLASSES
from skyclass.training.fit import fit
from skyclass.training.fitted_models import load_fitted_models
from tests.support.datasets import make_simulated_dataset

pytestmark = pytest.mark.slow

STAR_AT_Z0 = (19.5, 18.2, 17.7, 17.5, 17.4, 0.0)
BLUE_AT_Z2 = (19.4, 19.2, 19.1, 19.0, 18.9, 2.0)
RED_AT_Z01 = (19.6, 17.7, 16.8, 16.4, 16.1, 0.1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("behaviour")
    dataset = make_simulated_dataset(Mode.SPECTROSCOPIC, 4_000)
    fit(dataset, ["hist_gradient_boosting"], 0, folder, budget_seconds=0)
    return load_fitted_models(folder).release


def predict_probabilities(model: Engine, *rows: tuple[float, ...]) -> np.ndarray:
    return model(make_features(rows, Mode.SPECTROSCOPIC))


@pytest.mark.parametrize(
    ("row", "name"), [(STAR_AT_Z0, "STAR"), (BLUE_AT_Z2, "QSO"), (RED_AT_Z01, "GALAXY")]
)
def test_typical_objects_are_classified(model: Engine, row: tuple[float, ...], name: str) -> None:
    assert CLASSES[predict_probabilities(model, row)[0].argmax()] == name


def test_predictions_do_not_depend_on_row_order_or_batch_size(model: Engine) -> None:
    rows = (STAR_AT_Z0, BLUE_AT_Z2, RED_AT_Z01)
    together = predict_probabilities(model, *rows)
    np.testing.assert_allclose(predict_probabilities(model, *rows[::-1])[::-1], together)
    for row, expected in zip(rows, together, strict=True):
        np.testing.assert_allclose(predict_probabilities(model, row)[0], expected)


def test_higher_redshift_lowers_the_probability_of_a_star(model: Engine) -> None:
    at_zero, at_two = predict_probabilities(model, STAR_AT_Z0, (*STAR_AT_Z0[:5], 2.0))
    star = CLASSES.index("STAR")
    assert at_two[star] < at_zero[star] - 0.5
