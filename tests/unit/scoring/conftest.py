"""Releases of real, tiny models to score with."""

from pathlib import Path

import pytest

from skyclass.features import Mode
from skyclass.store.champions import champions
from skyclass.store.releases import Release
from skyclass.store.s3 import ObjectStore
from tests.scoring import publish_tree


@pytest.fixture
def release(store: ObjectStore, tmp_path: Path) -> Release:
    """A spectroscopic champion: a decision tree."""
    release = publish_tree(store, tmp_path / "release", Mode.SPECTROSCOPIC)
    champions(store.settings).promote(release, "a test", "test")
    return release
