"""Removal of inputs from training rows."""

import numpy as np
import pytest

from skyclass.survey.features import ALL_INPUTS, GROUP_INPUTS, MAGNITUDES, InputGroup, Mode
from skyclass.survey.observation import CLASSES
from skyclass.training.masking import (
    ALL_GROUPS_SHARE,
    BAND_SHARE,
    GROUP_SHARE,
    mask_inputs,
    remove_band,
)

NAMES = ALL_INPUTS[Mode.PHOTOMETRIC]
GROUPS = (InputGroup.PSF, InputGroup.WISE)
LABELS = np.array(CLASSES, dtype=object)[np.arange(30_000) % 3]


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    """30,000 rows with PSF and WISE magnitudes; half of the stars lack W1 and W2."""
    values = np.random.default_rng(0).normal(20, 1, (len(LABELS), len(NAMES)))
    has_none = (LABELS == "STAR") & (np.arange(len(LABELS)) % 2 == 0)
    values[np.ix_(has_none, [NAMES.index("w1"), NAMES.index("w2")])] = np.nan
    return values


@pytest.fixture(scope="module")
def masked(inputs: np.ndarray) -> np.ndarray:
    return mask_inputs(inputs, LABELS, Mode.PHOTOMETRIC, GROUPS, ("u", "z"), seed=0)


def is_missing(values: np.ndarray, name: str) -> np.ndarray:
    return np.isnan(values[:, NAMES.index(name)])


def test_groups_are_removed_from_the_declared_shares_of_rows(masked: np.ndarray) -> None:
    expected = 1 - (1 - GROUP_SHARE) * (1 - ALL_GROUPS_SHARE)
    assert is_missing(masked, "psf_r").mean() == pytest.approx(expected, abs=0.01)
    without_any = is_missing(masked, "psf_r") & is_missing(masked, "w1")
    assert without_any.mean() > ALL_GROUPS_SHARE
    for name in GROUP_INPUTS[InputGroup.PSF][1:4]:
        assert (is_missing(masked, name) == is_missing(masked, "psf_r")).all()


def test_every_class_lacks_a_group_equally_often(masked: np.ndarray) -> None:
    missing = is_missing(masked, "w1")
    shares = [missing[name == LABELS].mean() for name in CLASSES]
    assert max(shares) - min(shares) < 0.03


def test_every_class_lacks_one_input_of_a_group_equally_often(inputs: np.ndarray) -> None:
    partial = np.where(np.isnan(inputs), 15.0, inputs)
    partial[LABELS == "QSO", NAMES.index("w2")] = np.nan
    masked = mask_inputs(partial, LABELS, Mode.PHOTOMETRIC, GROUPS, (), seed=0)
    assert is_missing(masked, "w2").all()  # or its presence would exclude quasars
    assert not is_missing(masked, "w1").all()


def test_a_row_lacks_at_most_one_band(masked: np.ndarray) -> None:
    missing = np.array([is_missing(masked, band) for band in MAGNITUDES])
    assert missing.sum(axis=0).max() == 1
    assert missing.mean(axis=1) == pytest.approx([BAND_SHARE, 0, 0, 0, BAND_SHARE], abs=0.003)


def test_psf_magnitude_and_error_of_a_missing_band_are_missing(inputs: np.ndarray) -> None:
    removed = remove_band(inputs, Mode.PHOTOMETRIC, "u")
    columns = np.flatnonzero(np.isnan(removed).all(axis=0))
    assert [NAMES[column] for column in columns] == ["u", "psf_u", "err_u"]


def test_masking_depends_on_the_seed_only(inputs: np.ndarray, masked: np.ndarray) -> None:
    before = inputs.copy()
    again, other = (
        mask_inputs(inputs, LABELS, Mode.PHOTOMETRIC, GROUPS, ("u", "z"), seed) for seed in (0, 1)
    )
    np.testing.assert_array_equal(again, masked)
    np.testing.assert_array_equal(inputs, before)
    assert not np.array_equal(np.isnan(other), np.isnan(masked))
