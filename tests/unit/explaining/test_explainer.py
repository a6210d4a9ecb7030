"""Explanations of predictions: exact, complete and in the units of the inputs."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier

from skyclass.errors import ReleaseError
from skyclass.explaining.explainer import Explainer
from skyclass.explaining.explanation import Explanation, describe_contribution
from skyclass.registry.models import LoadedModel, make_joblib_engine
from skyclass.registry.releases import Release
from skyclass.survey.features import (
    ALL_INPUTS,
    FEATURES,
    GROUP_FEATURES,
    INPUTS,
    InputGroup,
    Mode,
    make_features,
)
from skyclass.survey.observation import CLASSES
from skyclass.training.candidates import CANDIDATES
from tests.support.monitoring import add_predictions
from tests.support.predictor import simulated
from tests.support.releases import draft

SPECTROSCOPIC, PHOTOMETRIC = Mode
WIDE_FEATURES = (
    *FEATURES[PHOTOMETRIC],
    *(name for group in InputGroup for name in GROUP_FEATURES[group]),
)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Simulated objects; every second one has PSF magnitudes and WISE magnitudes."""
    rows = simulated(1000)
    measured = np.arange(len(rows)) % 2 == 0
    point_like = rows["class"] != "GALAXY"
    for band in "ugriz":
        rows[f"psf_{band}"] = (rows[band] + np.where(point_like, 0.0, 0.4)).where(measured)
    rows["w1"] = (rows["r"] - np.where(rows["class"] == "QSO", 4.0, 2.0)).where(measured)
    rows["w2"] = (rows["w1"] - 0.5).where(measured)
    rows["type"] = np.where(point_like, 6.0, 3.0)
    return rows.assign(extinction_r=0.1, **{f"err_{band}": 0.05 for band in "ugriz"})


def make_explainer(
    rows: pd.DataFrame, estimator: object, mode: Mode, features: tuple[str, ...]
) -> Explainer:
    """Fit an estimator and return an explainer of a release that has it."""
    array = make_features(rows[list(ALL_INPUTS[mode])], mode, features)
    fitted = estimator.fit(array, rows["class"].to_numpy())
    release = Release("0" * 64, draft(mode, features=features))
    model = LoadedModel(release, "joblib", make_joblib_engine(fitted))
    return Explainer(model, add_predictions(rows))


@pytest.fixture(scope="module")
def wide(rows: pd.DataFrame) -> Explainer:
    """An explainer of a photometric release with all optional groups."""
    boosting = HistGradientBoostingClassifier(max_iter=15, random_state=0)
    return make_explainer(rows, boosting, PHOTOMETRIC, WIDE_FEATURES)


def sum_up(explanation: Explanation) -> list[float]:
    return [
        explanation.base[name] + sum(each.shares[name] for each in explanation.contributions)
        for name in CLASSES
    ]


@pytest.mark.slow
@pytest.mark.parametrize("calibration", [None, "temperature", "sigmoid"])
@pytest.mark.parametrize("candidate", CANDIDATES)
def test_contributions_add_up_to_the_predicted_probability(
    rows: pd.DataFrame, candidate: str, calibration: str | None
) -> None:
    estimator = CANDIDATES[candidate].make(0)
    if calibration:
        estimator = CalibratedClassifierCV(estimator, method=calibration, cv=2, ensemble=False)
    explainer = make_explainer(rows, estimator, SPECTROSCOPIC, FEATURES[SPECTROSCOPIC])
    inputs = rows[list(INPUTS[SPECTROSCOPIC])].to_numpy()[:1]
    (explanation,) = explainer.explain(inputs)
    expected = estimator.predict_proba(make_features(inputs, SPECTROSCOPIC))[0]
    np.testing.assert_allclose(sum_up(explanation), expected, atol=1e-6)
    np.testing.assert_allclose(list(explanation.probabilities.values()), expected, atol=1e-6)


def test_the_input_that_decides_contributes_most(rows: pd.DataFrame) -> None:
    boosting = HistGradientBoostingClassifier(max_iter=15, random_state=0)
    explainer = make_explainer(rows, boosting, SPECTROSCOPIC, FEATURES[SPECTROSCOPIC])
    (explanation,) = explainer.explain([[20.232, 19.572, 19.430, 19.309, 19.070, 2.350]])
    assert explanation.predicted == "QSO"
    first = explanation.rank_contributions()[0]
    assert first.player.name == "redshift"
    assert describe_contribution(first, "QSO").startswith("redshift = 2.35 (typical QSO 0.")
    assert describe_contribution(first, "QSO").endswith("towards QSO")


def test_measured_groups_and_those_that_are_not_add_up(rows: pd.DataFrame, wide: Explainer) -> None:
    inputs = rows[list(ALL_INPUTS[PHOTOMETRIC])].to_numpy()[:2]
    full, narrow = wide.explain(inputs)
    for explanation in (full, narrow):
        np.testing.assert_allclose(
            sum_up(explanation), list(explanation.probabilities.values()), atol=1e-6
        )
    values = {each.player.name: each.format_value() for each in narrow.contributions}
    assert values["psf"] == values["wise"] == "not measured"
    assert "r-w1" in {each.player.name: each.format_value() for each in full.contributions}["wise"]


def test_an_object_without_optional_inputs_is_explained(
    rows: pd.DataFrame, wide: Explainer
) -> None:
    inputs = rows[list(ALL_INPUTS[PHOTOMETRIC])].to_numpy()[:1].copy()
    inputs[:, len(INPUTS[PHOTOMETRIC]) :] = np.nan
    (first,) = wide.explain(inputs)
    (second,) = wide.explain(inputs[:, : len(INPUTS[PHOTOMETRIC])])
    assert [each.shares for each in first.contributions] == [
        each.shares for each in second.contributions
    ]


def test_values_that_the_endpoint_does_not_use_are_not_measured(
    rows: pd.DataFrame, wide: Explainer
) -> None:
    row = rows[list(ALL_INPUTS[PHOTOMETRIC])].head(1)
    psf = {f"psf_{band}": 0.0 for band in "ugriz"}
    absent = {"w1": np.nan, "w2": np.nan, "type": np.nan, **dict.fromkeys(psf, np.nan)}
    unused = {"w1": 99.0, "w2": 0.5, "type": 0.0, **psf}
    found, expected = wide.explain(pd.concat([row.assign(**unused), row.assign(**absent)]))
    assert found.probabilities == expected.probabilities
    values = {each.player.name: each.format_value() for each in found.contributions}
    assert values["wise"] == values["psf"] == values["type"] == "not measured"


def test_an_input_without_effect_contributes_nothing(rows: pd.DataFrame, wide: Explainer) -> None:
    changed = rows[list(ALL_INPUTS[PHOTOMETRIC])].head(1).assign(err_u=0.3, err_g=0.2)
    (explanation,) = wide.explain(changed.to_numpy())
    shares = {each.player.name: list(each.shares.values()) for each in explanation.contributions}
    # The model was trained on constant errors and extinctions.
    np.testing.assert_allclose(shares["errors"], 0, atol=1e-12)
    assert shares["extinction"] == [0, 0, 0]


def test_values_have_their_unit(rows: pd.DataFrame, wide: Explainer) -> None:
    inputs = rows[list(ALL_INPUTS[PHOTOMETRIC])].head(1).assign(type=3.0)
    (explanation,) = wide.explain(inputs.to_numpy())
    texts = {each.player.name: each.format_value() for each in explanation.contributions}
    assert texts["type"] == "3 (extended)"
    assert texts["extinction"] == "0.10 mag"
    assert texts["u-g"].endswith(" mag")


def test_a_release_without_reference_rows_is_an_error(wide: Explainer, rows: pd.DataFrame) -> None:
    with pytest.raises(ReleaseError, match="no reference rows: train a new release"):
        Explainer(wide._model, add_predictions(rows).head(0))
