"""The two forms of a model answer alike."""

from pathlib import Path

import joblib
import numpy as np
import pytest

from skyclass.store.models import joblib_engine, onnx_engine
from skyclass.training.candidates import CANDIDATES
from skyclass.training.dataset import Dataset
from skyclass.training.export import MAX_DIFFERENCE, export, library_versions


@pytest.mark.parametrize("name", CANDIDATES)
def test_onnx_answers_as_joblib_does(name: str, dataset: Dataset, tmp_path: Path) -> None:
    train = ~dataset.random_holdout
    model = CANDIDATES[name](0).fit(dataset.features[train], dataset.labels[train])
    probe = dataset.features[~train]
    parity = export(model, probe, tmp_path)
    assert parity.passed
    assert (parity.rows, parity.label_mismatches) == (len(probe), 0)
    slow = joblib_engine(joblib.load(tmp_path / "model.joblib"))(probe)
    fast = onnx_engine((tmp_path / "model.onnx").read_bytes())(probe)
    np.testing.assert_allclose(fast, slow, atol=MAX_DIFFERENCE)
    np.testing.assert_allclose(fast.sum(axis=1), 1, atol=1e-5)


def test_a_forest_is_saved_to_run_on_one_thread(dataset: Dataset, tmp_path: Path) -> None:
    forest = CANDIDATES["random_forest"](0).fit(dataset.features, dataset.labels)
    export(forest, dataset.features, tmp_path)
    assert joblib.load(tmp_path / "model.joblib").n_jobs == 1


def test_a_model_without_a_converter_is_released_as_joblib_alone(
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


def test_the_versions_that_matter_are_recorded() -> None:
    assert {"scikit-learn", "numpy", "joblib", "python"} <= set(library_versions())
