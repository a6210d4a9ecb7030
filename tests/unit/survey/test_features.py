"""Magnitudes become features in one way, whatever the mode and the order of the rows."""

import numpy as np
import pytest

from skyclass.survey.features import ALL_INPUTS, FEATURES, INPUTS, Mode, make_features

ROWS = np.array(
    [
        [21.21101, 18.92085, 17.65245, 17.1453, 16.75657, 0.1674231],
        [20.0, 19.5, 19.25, 19.125, 19.0625, 2.0],
        [15.0, 16.0, 18.0, 21.0, 25.0, -0.001],
    ]
)


def inputs(mode: Mode) -> np.ndarray:
    return ROWS[:, : len(INPUTS[mode])]


def test_features_are_four_colours_then_r_then_redshift() -> None:
    features = make_features(ROWS, Mode.SPECTROSCOPIC)
    assert FEATURES[Mode.SPECTROSCOPIC] == ("u-g", "g-r", "r-i", "i-z", "r", "redshift")
    assert features[1].tolist() == [0.5, 0.25, 0.125, 0.0625, 19.25, 2.0]


def test_photometric_features_are_the_same_without_the_redshift() -> None:
    features = make_features(inputs(Mode.PHOTOMETRIC), Mode.PHOTOMETRIC)
    assert FEATURES[Mode.PHOTOMETRIC] == FEATURES[Mode.SPECTROSCOPIC][:5]
    assert np.array_equal(features, make_features(ROWS, Mode.SPECTROSCOPIC)[:, :5])


@pytest.mark.parametrize("mode", Mode)
def test_features_are_single_precision_rounded_once(mode: Mode) -> None:
    features = make_features(inputs(mode), mode)
    assert features.dtype == np.float32
    assert features.shape == (len(ROWS), len(FEATURES[mode]))
    assert features[0, 0] == np.float32(21.21101 - 18.92085)


@pytest.mark.parametrize("mode", Mode)
def test_permuted_rows_give_permuted_features(mode: Mode) -> None:
    order = [2, 0, 1]
    permuted = make_features(inputs(mode)[order], mode)
    assert np.array_equal(permuted, make_features(inputs(mode), mode)[order])


def test_a_row_alone_gives_what_it_gives_among_others() -> None:
    together = make_features(ROWS, Mode.SPECTROSCOPIC)
    assert np.array_equal(make_features(ROWS[1:2], Mode.SPECTROSCOPIC), together[1:2])


def test_what_is_not_measured_stays_so_in_its_features_alone() -> None:
    row = ROWS[:1].copy()
    row[0, INPUTS[Mode.SPECTROSCOPIC].index("g")] = np.nan
    nan = np.isnan(make_features(row, Mode.SPECTROSCOPIC))[0]
    named = dict(zip(FEATURES[Mode.SPECTROSCOPIC], nan, strict=True))
    assert [name for name, is_nan in named.items() if is_nan] == ["u-g", "g-r"]


def test_error_of_a_band_that_is_not_measured_is_not_used() -> None:
    row = np.full((1, len(ALL_INPUTS[Mode.PHOTOMETRIC])), 0.125)
    row[0, ALL_INPUTS[Mode.PHOTOMETRIC].index("u")] = np.nan
    found = make_features(row, Mode.PHOTOMETRIC, ("err_u", "err_g"))
    assert np.array_equal(found, [[np.nan, 0.125]], equal_nan=True)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("shape", [(3, 4), (3, 7), (6,), (0,), (1, 6, 1)], ids=str)
def test_another_shape_is_refused_with_the_columns_wanted(
    mode: Mode, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=f"{mode} features need the columns") as error:
        make_features(np.zeros(shape), mode)
    assert str(shape) in str(error.value)


@pytest.mark.parametrize(("mode", "other"), [tuple(Mode), tuple(reversed(Mode))])
def test_the_inputs_of_one_mode_are_refused_by_the_other(mode: Mode, other: Mode) -> None:
    with pytest.raises(ValueError, match=f"{mode} features need the columns"):
        make_features(inputs(other), mode)


@pytest.mark.parametrize("mode", Mode)
def test_no_rows_give_no_features(mode: Mode) -> None:
    assert make_features(inputs(mode)[:0], mode).shape == (0, len(FEATURES[mode]))
