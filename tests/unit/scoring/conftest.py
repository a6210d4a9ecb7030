"""Fixtures for tests of batch scoring."""

from pathlib import Path

import pytest

from skyclass.promotion.champions import open_champion_store
from skyclass.registry.releases import Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.scoring import publish_tree


@pytest.fixture
def release(store: ObjectStore, tmp_path: Path) -> Release:
    """A decision tree, promoted to spectroscopic champion."""
    release = publish_tree(store, tmp_path / "release", Mode.SPECTROSCOPIC)
    open_champion_store(store.settings).promote(release, "a test", "test")
    return release
