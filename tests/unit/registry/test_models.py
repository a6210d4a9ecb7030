"""Predictions of a loaded model: the order of large batches, and the extinction of rows."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.tree import DecisionTreeClassifier

from skyclass.errors import ReleaseError
from skyclass.registry.digests import make_entry
from skyclass.registry.models import LoadedModel, load_verified_model
from skyclass.registry.releases import DUST_MAP, ONNX_MODEL, Release
from skyclass.sources.dust_map import read_dust_map
from skyclass.survey.features import ALL_INPUTS, FEATURES, INPUTS, Mode
from skyclass.training.export import export
from tests.support.releases import draft

MODE = Mode.PHOTOMETRIC
WITH_EXTINCTION = (*FEATURES[MODE], "extinction_r")


def write_release(folder: Path, *files: str) -> Release:
    """Write a tiny model with the extinction as a feature, and list the files in its manifest."""
    features = np.random.default_rng(0).random((60, len(WITH_EXTINCTION)), dtype=np.float32)
    model = DecisionTreeClassifier(max_depth=2).fit(features, np.repeat([0, 1, 2], 20))
    parity = export(model, features, folder)
    entries = tuple(make_entry(name, (folder / name).read_bytes()) for name in files)
    return Release("ab" * 32, draft(MODE, features=WITH_EXTINCTION, parity=parity, files=entries))


def make_row(**values: float) -> np.ndarray:
    row = dict.fromkeys(INPUTS[MODE], 20.0) | values
    return np.array([[row.get(name, np.nan) for name in ALL_INPUTS[MODE]]])


@pytest.mark.parametrize("mode", Mode)
def test_probabilities_are_in_the_order_of_the_rows(mode: Mode) -> None:
    def copy_features(features: npt.NDArray[np.float32], /) -> npt.NDArray[np.float64]:
        return features[:, :3].astype(np.float64)

    model = LoadedModel(Release("ab" * 32, draft(mode)), "onnx", copy_features)
    features = np.random.default_rng(0).random((1_000, len(FEATURES[mode])), dtype=np.float32)
    np.testing.assert_array_equal(model.predict_from_features(features), features[:, :3])


def test_a_model_that_cannot_run_is_one_error_of_its_release(tmp_path: Path) -> None:
    release = write_release(tmp_path)
    (tmp_path / ONNX_MODEL).write_bytes(b"no model of this version of ONNX Runtime")
    with pytest.raises(ReleaseError, match=f"release {release.id[:12]}: .*cannot run here"):
        load_verified_model(release, tmp_path)


def test_row_with_a_position_gets_its_extinction(tmp_path: Path) -> None:
    read_dust_map().save(tmp_path / DUST_MAP)
    model = load_verified_model(write_release(tmp_path, DUST_MAP), tmp_path)
    features = model.compute_features(make_row(alpha=10.0, delta=20.0))
    assert features[0, -1] == np.float32(read_dust_map().find_extinction([10.0], [20.0])[0])
    assert model.compute_features(make_row(extinction_r=0.3))[0, -1] == np.float32(0.3)
    assert np.isnan(model.compute_features([[20.0] * 5])[0, -1])


def test_release_without_dust_map_ignores_positions(tmp_path: Path) -> None:
    model = load_verified_model(write_release(tmp_path), tmp_path)
    assert model.dust_map is None
    assert np.isnan(model.compute_features(make_row(alpha=10.0, delta=20.0))[0, -1])


@pytest.mark.parametrize("content", [b"", b"no map", b"\x93NUMPY\x01\x00"])
def test_malformed_dust_map_is_an_error_of_the_release(content: bytes, tmp_path: Path) -> None:
    (tmp_path / DUST_MAP).write_bytes(content)
    with pytest.raises(ReleaseError, match=f"{DUST_MAP}: .*publish the release again"):
        load_verified_model(write_release(tmp_path, DUST_MAP), tmp_path)
