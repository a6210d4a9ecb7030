"""The axioms of Shapley values, and agreement with another algorithm of the shap library."""

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.ensemble import RandomForestClassifier

from skyclass.explaining.coalitions import CoalitionValue
from skyclass.explaining.players import find_players
from skyclass.explaining.shapley import compute_shapley_values
from skyclass.registry.models import make_joblib_engine
from skyclass.survey.features import INPUTS, Mode, make_features
from tests.support.predictor import simulated


def glove_market(coalitions: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """A pair of gloves is worth 1: players 0 and 1 have a left one, player 2 has the right one.

    The second output is what is missing to 1.
    """
    pairs = ((coalitions[:, 0] | coalitions[:, 1]) & coalitions[:, 2]).astype(float)
    return np.column_stack([pairs, 1 - pairs])


def test_a_game_has_the_values_of_the_textbook() -> None:
    base, values = compute_shapley_values(glove_market, 3)
    assert base.tolist() == [0, 1]
    np.testing.assert_allclose(values[:, 0], [1 / 6, 1 / 6, 4 / 6], atol=1e-12)
    np.testing.assert_allclose(values[:, 1], -values[:, 0], atol=1e-12)


def test_a_player_that_changes_nothing_gets_nothing() -> None:
    _, values = compute_shapley_values(lambda coalitions: glove_market(coalitions[:, :3]), 4)
    np.testing.assert_allclose(values[3], 0, atol=1e-12)


@pytest.mark.slow
def test_the_values_of_a_forest_are_those_of_tree_shap() -> None:
    rows = simulated(700)
    mode = Mode.SPECTROSCOPIC
    features = make_features(rows[list(INPUTS[mode])], mode)
    forest = RandomForestClassifier(10, max_depth=6, random_state=0).fit(features, rows["class"])
    background, objects = features[:64], features[600:603]

    players = find_players(["u-g", "g-r", "r-i", "i-z", "r", "redshift"])
    engine = make_joblib_engine(forest)
    found = [
        compute_shapley_values(CoalitionValue(engine, row, background, players), len(players))
        for row in objects
    ]

    import shap  # seconds

    explainer = shap.TreeExplainer(
        forest,
        background.astype(float),
        feature_perturbation="interventional",
        model_output="probability",
    )
    expected = explainer.shap_values(objects.astype(float))
    np.testing.assert_allclose([values for _, values in found], expected, atol=1e-6)
    np.testing.assert_allclose(found[0][0], explainer.expected_value, atol=1e-6)
