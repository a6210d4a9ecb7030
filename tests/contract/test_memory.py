"""The memory that a promotion expects a release to need bounds that of a predictor."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from skyclass.promotion.memory import MemoryLimitError, check_memory, compute_need
from skyclass.registry.memory import ROWS
from skyclass.registry.releases import JOBLIB_MODEL, ONNX_MODEL, Release
from skyclass.survey.features import INPUTS, Mode, make_features
from skyclass.survey.observation import CLASSES
from skyclass.training.export import export
from skyclass.training.traffic import measure_memory
from tests.support.kube_api import make_template
from tests.support.predictor import Site, serving, simulated
from tests.support.releases import draft

pytestmark = pytest.mark.slow

MODE = Mode.SPECTROSCOPIC


def publish_forest(site: Site, folder: Path, trees: int) -> Release:
    """Publish a forest whose trees have as many leaves as they may have."""
    rows = simulated(3_000)[list(INPUTS[MODE])]
    labels = np.random.default_rng(0).choice(np.array(CLASSES, object), len(rows))
    model = RandomForestClassifier(trees, max_leaf_nodes=1_000, random_state=0, n_jobs=-1)
    features = make_features(rows, MODE)
    parity = export(model.fit(features, labels).set_params(n_jobs=None), features, folder)
    memory = measure_memory(folder / ONNX_MODEL, features.shape[1])
    files = {name: folder / name for name in (JOBLIB_MODEL, ONNX_MODEL)}
    return site.registry.publish(draft(MODE, parity=parity, memory=memory), files)


@pytest.fixture(scope="module")
def forest(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Release:
    return publish_forest(site, tmp_path_factory.mktemp("forest"), trees=100)


def measure_peak(site: Site, release: Release, folder: Path) -> int:
    """Return the memory of a predictor after the largest request (bytes)."""
    address = f"s3://{site.settings.models_bucket}/{release.prefix}"
    rows = simulated(ROWS)[list(INPUTS[MODE])].to_numpy().tolist()
    with serving(site, MODE, address, folder / "log") as server:
        assert len(server.predict(rows)["predictions"]) == ROWS
        return server.read_peak_memory()


def test_predictor_of_a_forest_stays_within_what_a_promotion_expects(
    site: Site, forest: Release, tmp_path: Path
) -> None:
    need = compute_need(forest)
    assert need is not None
    assert need / 2 < measure_peak(site, forest, tmp_path) <= need


def test_predictor_of_a_tree_stays_within_what_a_promotion_expects(
    site: Site, tmp_path: Path
) -> None:
    tree = publish_forest(site, tmp_path / "files", trees=1)
    need = compute_need(tree)
    assert need is not None
    assert need / 2 < measure_peak(site, tree, tmp_path) <= need


def test_too_large_forest_is_rejected_by_its_figure(forest: Release) -> None:
    limit = "256Mi"  # a tree fits
    with pytest.raises(MemoryLimitError, match=r"needs \d+ MiB of memory, .* is 256 MiB: raise"):
        check_memory(forest, make_template(MODE, limit))
