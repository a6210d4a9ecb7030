"""A photometric release with optional inputs, from the observations to the endpoint's model."""

from pathlib import Path

import numpy as np
import pytest

from skyclass.ingest.step import ingest_step
from skyclass.registry.manifest import ALL_GROUPS
from skyclass.registry.models import LoadedModel, download_model
from skyclass.registry.releases import Registry
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import ALL_INPUTS, FEATURES, INPUTS, Mode
from skyclass.training.dataset import Dataset
from skyclass.training.parameters import PromotionPolicy
from skyclass.training.steps.evaluate import evaluate_step
from skyclass.training.steps.publish import publish_step
from skyclass.training.steps.train import train_step
from skyclass.training.steps.validate import validate_step

MODE = Mode.PHOTOMETRIC
POLICY = PromotionPolicy.NEVER


@pytest.mark.slow
def test_release_has_features_scores_and_dust_map(
    settings: Settings, store: ObjectStore, tmp_path: Path
) -> None:
    rows, models, evaluation = (tmp_path / name for name in ("rows", "models", "evaluation"))
    version = ingest_step(settings, "simulated:?rows=4000&groups=type,wise").version
    validate_step(settings, version, MODE, 4_000, rows, tmp_path / "exploration.html")
    train_step(rows, MODE, "decision_tree,svc", 0, 0, models)
    evaluate_step(settings, rows, models, MODE, POLICY, 0, evaluation)
    published = publish_step(settings, rows, models, evaluation, MODE, POLICY, "test", "run")

    manifest = published.release.manifest
    optional = ("extinction_r", "type", "r-w1", "w1-w2")
    assert manifest.features == (*FEATURES[MODE], *optional)
    assert manifest.inputs == INPUTS[MODE]
    assert set(manifest.groups) == {"extinction", "type", "wise", ALL_GROUPS}
    assert set(manifest.missing_bands) <= {"u", "z"}

    model = download_model(Registry(store), published.release)
    dataset = Dataset.load(rows, MODE)
    inputs = dataset.inputs[dataset.random_holdout]
    predicted = model.predict_probabilities(inputs)
    assert (predicted.max(axis=1) > 0).all()
    assert not np.allclose(predicted, model.predict_probabilities(inputs[:, :5]))
    assert_position_is_as_good_as_extinction(model, dataset)


def assert_position_is_as_good_as_extinction(model: LoadedModel, dataset: Dataset) -> None:
    """Assert that a row with a position is predicted as with the extinction of the dust map."""
    columns = [ALL_INPUTS[MODE].index(name) for name in ("alpha", "delta", "extinction_r")]
    with_position = dataset.inputs[:200]
    with_extinction = dataset.filled_inputs[:200]
    assert np.isnan(with_position[:, columns[2]]).all()
    with_extinction[:, columns[:2]] = np.nan
    np.testing.assert_array_equal(
        model.predict_probabilities(with_position), model.predict_probabilities(with_extinction)
    )
