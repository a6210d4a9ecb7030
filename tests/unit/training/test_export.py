"""Export of every candidate to joblib and ONNX."""

import time
from pathlib import Path

import joblib
import numpy as np
import numpy.typing as npt
import pytest

from skyclass.registry.libraries import get_library_versions
from skyclass.registry.models import load_onnx_engine, make_joblib_engine
from skyclass.training.candidates import CANDIDATES
from skyclass.training.dataset import Dataset
from skyclass.training.export import MAX_DIFFERENCE, export, find_joblib_threshold

pytestmark = pytest.mark.slow

Features = npt.NDArray[np.float32]


@pytest.mark.parametrize("name", CANDIDATES)
def test_onnx_predicts_like_joblib(name: str, dataset: Dataset, tmp_path: Path) -> None:
    train = ~dataset.random_holdout
    model = CANDIDATES[name].make(0).fit(dataset.features[train], dataset.labels[train])
    probe = dataset.features[~train]
    parity = export(model, probe, tmp_path)
    assert parity.passed
    assert (parity.rows, parity.label_mismatches) == (len(probe), 0)
    expected = make_joblib_engine(joblib.load(tmp_path / "model.joblib"))(probe)
    predicted = load_onnx_engine((tmp_path / "model.onnx").read_bytes())(probe)
    np.testing.assert_allclose(predicted, expected, atol=MAX_DIFFERENCE)
    np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("per_row", "expected"),
    [(2e-8, None), (1e-6, 3_000), (1e-4, 300)],
    ids=["never", "many", "few"],
)
def test_joblib_threshold_is_the_smallest_size_at_which_joblib_is_faster(
    per_row: float, expected: int | None
) -> None:
    def constant(features: Features) -> Features:
        time.sleep(0.002)
        return features

    def growing(features: Features) -> Features:
        time.sleep(per_row * len(features))
        return features

    assert find_joblib_threshold(constant, growing, np.zeros((7, 6), np.float32)) == expected


def test_forest_is_saved_with_one_thread(dataset: Dataset, tmp_path: Path) -> None:
    forest = CANDIDATES["random_forest"].make(0).fit(dataset.features, dataset.labels)
    export(forest, dataset.features, tmp_path)
    assert joblib.load(tmp_path / "model.joblib").n_jobs == 1


def test_model_without_onnx_converter_is_exported_as_joblib_only(
    dataset: Dataset, tmp_path: Path
) -> None:
    from sklearn.semi_supervised import LabelSpreading  # skl2onnx has no converter for it

    codes = np.unique(dataset.labels[:200], return_inverse=True)[1]
    model = LabelSpreading(kernel="knn").fit(dataset.features[:200], codes)
    parity = export(model, dataset.features[:50], tmp_path)
    assert not parity.passed
    assert parity.reason.startswith("there is no ONNX converter for it")
    assert (tmp_path / "model.joblib").exists()
    assert not (tmp_path / "model.onnx").exists()


def test_library_versions_include_what_a_pickle_depends_on() -> None:
    assert {"scikit-learn", "numpy", "joblib", "python"} <= set(get_library_versions())
