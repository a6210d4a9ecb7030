"""Export of every candidate to joblib and ONNX."""

from pathlib import Path

import joblib
import numpy as np
import numpy.typing as npt
import onnx
import pytest
from sklearn.ensemble import RandomForestClassifier

from skyclass.errors import TrainingError
from skyclass.registry.libraries import get_library_versions
from skyclass.registry.manifest import MAX_FORMAT_DIFFERENCE
from skyclass.registry.models import load_onnx_engine, make_joblib_engine
from skyclass.survey.observation import CLASSES
from skyclass.training import export as export_module
from skyclass.training.candidates import CANDIDATES, MAX_LEAF_NODES, Calibration
from skyclass.training.dataset import Dataset
from skyclass.training.export import MAX_MODEL_BYTES, export
from skyclass.training.recalibration import calibrate

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
    np.testing.assert_allclose(predicted, expected, atol=MAX_FORMAT_DIFFERENCE)
    np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("decision_tree", Calibration.SIGMOID),
        ("decision_tree", Calibration.TEMPERATURE),
        ("forest_and_boosting", Calibration.TEMPERATURE),
        ("hist_gradient_boosting", Calibration.TEMPERATURE),
    ],
)
def test_onnx_of_a_calibrated_model_predicts_like_joblib(
    name: str, method: Calibration, dataset: Dataset, tmp_path: Path
) -> None:
    train = ~dataset.random_holdout
    model = calibrate(CANDIDATES[name].make(0), method, seed=0)
    model.fit(dataset.features[train], dataset.labels[train])
    probe = dataset.features[~train]
    parity = export(model, probe, tmp_path)
    assert parity.passed
    predicted = load_onnx_engine((tmp_path / "model.onnx").read_bytes())(probe)
    np.testing.assert_allclose(predicted, model.predict_proba(probe), atol=MAX_FORMAT_DIFFERENCE)


def test_onnx_has_no_unused_constants(dataset: Dataset, tmp_path: Path) -> None:
    model = CANDIDATES["forest_and_boosting"].make(0, {"forest__n_estimators": 2})
    export(model.fit(dataset.features, dataset.labels), dataset.features[:10], tmp_path)
    graph = onnx.load(tmp_path / "model.onnx").graph
    used = {name for node in graph.node for name in node.input}
    assert {constant.name for constant in graph.initializer} <= used


@pytest.mark.parametrize("name", CANDIDATES)
def test_no_candidate_starts_threads_for_a_request(name: str) -> None:
    settings = CANDIDATES[name].make(0).get_params(deep=True)
    assert {value for key, value in settings.items() if key.endswith("n_jobs")} <= {None}


def test_model_that_is_too_large_is_rejected_in_one_line(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "MAX_MODEL_BYTES", 10_000)
    tree = CANDIDATES["decision_tree"].make(0, {"min_samples_leaf": 5})
    model = RandomForestClassifier(20, random_state=0).fit(dataset.features, dataset.labels)
    assert export(tree.fit(dataset.features, dataset.labels), dataset.features, tmp_path).passed
    message = (
        r"too large for a release: model.joblib \d.*, model.onnx .* at most 0.01 MB; bound .*$"
    )
    with pytest.raises(TrainingError, match=message):
        export(model, dataset.features, tmp_path)


def test_largest_forest_fits_into_a_release(tmp_path: Path) -> None:
    # Random classes: every tree grows to the bound, as on 100,000 rows.
    random = np.random.default_rng(0)
    features = random.normal(size=(12_000, 5)).astype(np.float32)
    labels = random.choice(np.array(CLASSES, dtype=object), len(features))
    forest = CANDIDATES["random_forest"].make(0, {"min_samples_leaf": 2, "n_estimators": 10})
    forest.fit(features, labels)
    assert {tree.get_n_leaves() for tree in forest.estimators_} == {MAX_LEAF_NODES}
    export(forest, features[:100], tmp_path)
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert 10 * size < MAX_MODEL_BYTES


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
