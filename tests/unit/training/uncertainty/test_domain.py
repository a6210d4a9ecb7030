"""Rows that are unlike the training rows are outside the domain."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from skyclass.registry.domain import DomainModel
from skyclass.survey.features import (
    FEATURES,
    GROUP_FEATURES,
    INPUTS,
    MAGNITUDES,
    InputGroup,
    Mode,
    make_features,
)
from skyclass.training.uncertainty.domain_fit import fit_domain
from tests.support.uncertainty import read_real_rows

Inputs = npt.NDArray[np.float64]

VEGA_OFFSETS = (0.91, -0.08, 0.16, 0.37, 0.54)
"""AB minus Vega magnitudes of u, g, r, i, z (Blanton and Roweis 2007)."""


@pytest.fixture(scope="module", params=Mode)
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param)


@pytest.fixture(scope="module")
def inputs(mode: Mode, real_rows: Path) -> Inputs:
    return read_real_rows(real_rows)[list(INPUTS[mode])].to_numpy(np.float64)


@pytest.fixture(scope="module")
def held_out(inputs: Inputs) -> Inputs:
    return inputs[::5]


@pytest.fixture(scope="module")
def domain(mode: Mode, inputs: Inputs, held_out: Inputs) -> DomainModel:
    train = np.arange(len(inputs)) % 5 != 0
    features = make_features(inputs[train], mode), make_features(held_out, mode)
    found = fit_domain(*features, FEATURES[mode], seed=0)
    assert found is not None
    return found


def find_rate(domain: DomainModel, inputs: Inputs, mode: Mode) -> float:
    return float(domain.find_outside(make_features(inputs, mode), FEATURES[mode]).mean())


def test_at_most_one_percent_of_the_holdout_is_outside(
    domain: DomainModel, held_out: Inputs, mode: Mode
) -> None:
    assert 0.002 < find_rate(domain, held_out, mode) <= 0.01


@pytest.mark.parametrize(
    ("band", "shift", "rate"),
    [("g", -1, 0.08), ("r", 1, 0.08), ("r", -1, 0.1), ("i", 1, 0.03), ("i", -1, 0.1)],
)
def test_shifted_band_raises_the_rate(
    band: str, shift: float, rate: float, domain: DomainModel, held_out: Inputs, mode: Mode
) -> None:
    """Single objects with such colours exist, so only a share of the rows is outside."""
    changed = held_out.copy()
    changed[:, MAGNITUDES.index(band)] += shift
    assert find_rate(domain, changed, mode) > rate


@pytest.mark.parametrize(
    ("first", "second", "rate"), [("u", "g", 0.1), ("g", "r", 0.15), ("r", "i", 0.15)]
)
def test_swapped_columns_raise_the_rate(
    first: str, second: str, rate: float, domain: DomainModel, held_out: Inputs, mode: Mode
) -> None:
    places = [MAGNITUDES.index(first), MAGNITUDES.index(second)]
    changed = held_out.copy()
    changed[:, places] = changed[:, places[::-1]]
    assert find_rate(domain, changed, mode) > rate


def test_vega_magnitudes_at_least_double_the_rate(
    domain: DomainModel, held_out: Inputs, mode: Mode
) -> None:
    changed = held_out.copy()
    changed[:, :5] -= VEGA_OFFSETS
    assert find_rate(domain, changed, mode) > 2 * find_rate(domain, held_out, mode)


@pytest.mark.parametrize(
    "convert",
    [
        lambda magnitudes: 10 ** (0.4 * (22.5 - magnitudes)),  # nanomaggies
        lambda magnitudes: 3631 * 10 ** (-0.4 * magnitudes),  # janskys
        lambda magnitudes: magnitudes / 10,
    ],
)
def test_other_units_are_outside(
    convert: object, domain: DomainModel, held_out: Inputs, mode: Mode
) -> None:
    changed = held_out.copy()
    changed[:, :5] = convert(changed[:, :5])  # type: ignore[operator]
    assert find_rate(domain, changed, mode) > 0.95


def test_z_magnitude_as_the_redshift_is_outside(domain: DomainModel, held_out: Inputs) -> None:
    if "redshift" not in domain.names:
        pytest.skip("this mode has no redshift")
    changed = held_out.copy()
    changed[:, 5] = changed[:, 4]
    assert find_rate(domain, changed, Mode.SPECTROSCOPIC) == 1


@pytest.mark.parametrize("band", MAGNITUDES)
def test_missing_band_is_not_a_false_alarm(
    band: str, domain: DomainModel, held_out: Inputs, mode: Mode
) -> None:
    changed = held_out.copy()
    changed[:, MAGNITUDES.index(band)] = np.nan
    assert find_rate(domain, changed, mode) <= 0.01


def test_rows_without_two_distant_bands_are_not_compared(
    domain: DomainModel, held_out: Inputs, mode: Mode
) -> None:
    changed = held_out + 10
    changed[:, [MAGNITUDES.index("u"), MAGNITUDES.index("z")]] = np.nan
    assert find_rate(domain, changed, mode) == 0


def test_single_row_has_the_outcome_of_a_batch(
    domain: DomainModel, held_out: Inputs, mode: Mode
) -> None:
    features = make_features(held_out[:200], mode)
    features[::3, 1] += 2
    alone = [domain.find_outside(each[None], FEATURES[mode])[0] for each in features]
    assert domain.find_outside(features, FEATURES[mode]).tolist() == alone


def test_document_is_read_back(domain: DomainModel) -> None:
    assert DomainModel.model_validate_json(domain.to_bytes()) == domain


@pytest.fixture(scope="module")
def grouped() -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Features of 3,000 rows with photometric type and WISE magnitudes, which half of them lack."""
    rng = np.random.default_rng(0)
    groups = (InputGroup.TYPE, InputGroup.WISE)
    names = (
        *FEATURES[Mode.PHOTOMETRIC],
        *(name for each in groups for name in GROUP_FEATURES[each]),
    )
    core = rng.standard_normal((3_000, 5))
    optional = np.stack([rng.choice([3, 6], 3_000), *rng.normal(3, 1, (2, 3_000))], axis=1)
    optional[::2, 1:] = np.nan
    return np.concatenate([core, optional], axis=1).astype(np.float32), names


@pytest.mark.parametrize(
    ("name", "value", "rate"), [("type", 1, 1.0), ("r-w1", 20, 1.0), ("type", np.nan, 0.0)]
)
def test_optional_features_have_ranges(
    name: str,
    value: float,
    rate: float,
    grouped: tuple[npt.NDArray[np.float32], tuple[str, ...]],
) -> None:
    features, names = grouped
    domain = fit_domain(features, features, names, seed=0)
    assert domain is not None
    assert domain.find_outside(features, names).mean() < 0.01
    changed = features.copy()
    changed[:, names.index(name)] = value
    assert domain.find_outside(changed, names).mean() == pytest.approx(rate, abs=0.01)


def test_domain_with_many_false_alarms_is_not_published(
    grouped: tuple[npt.NDArray[np.float32], tuple[str, ...]],
) -> None:
    features, names = grouped
    assert fit_domain(features, features + 1, names, seed=0) is None
