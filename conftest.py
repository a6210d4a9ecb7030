"""Fixtures of all tests: an S3 server, buckets for each test, and data."""

import os
from collections.abc import Iterator
from pathlib import Path

# Set before scikit-learn is imported: with one thread per core, gradient boosting is many times
# slower if other processes use the cores.
os.environ["OMP_NUM_THREADS"] = "1"

import hypothesis
import pytest

from skyclass.local.s3_server import Access, EmbeddedS3
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.observations import ObservationsTable
from skyclass.training.dataset import Dataset
from skyclass.training.fit import fit
from tests.support.datasets import make_simulated_dataset
from tests.support.environment import make_environment

pytest_plugins = ["pytester", "tests.support.faults.plugin"]

# No test depends on the machine's speed.
hypothesis.settings.register_profile("skyclass", deadline=None)
hypothesis.settings.load_profile("skyclass")

REAL_DATA = Path(__file__).resolve().parents[1] / "shared/data"


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    """An S3 server, one per test process."""
    with EmbeddedS3(tmp_path_factory.mktemp("s3")) as access:
        yield access


@pytest.fixture
def environment(s3: Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Settings of one test, as environment variables of it and its child processes."""
    variables = make_environment(s3, tmp_path / "home")
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    return variables


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    """Settings of one test."""
    return Settings()


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    """The object store, with empty buckets."""
    store = ObjectStore(settings)
    store.make_buckets()
    return store


@pytest.fixture
def table(settings: Settings, store: ObjectStore) -> ObservationsTable:
    """An observations table without rows."""
    return ObservationsTable(settings)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of files with real rows, which are not part of the repository."""
    if not REAL_DATA.exists():
        pytest.skip(f"real SDSS rows are not at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture(scope="session")
def real_rows(real_data: Path) -> Path:
    """File of 20,000 real rows."""
    return real_data / "sdss_dr17_20k.csv"


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """A spectroscopic dataset of 1,800 simulated Legacy observations, ordered by night."""
    return make_simulated_dataset(Mode.SPECTROSCOPIC, rows=1_800)


@pytest.fixture(scope="session")
def models_folder(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output folder of a training: a decision tree fitted on the small dataset."""
    folder = tmp_path_factory.mktemp("models")
    # The budget suffices for all settings, so the model does not depend on the machine's speed.
    fit(dataset, ["decision_tree"], seed=0, folder=folder, budget_seconds=60)
    return folder


@pytest.fixture(scope="session")
def world(s3: Access, tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    """An object store with two weeks of monitoring."""
    from tests.support.world import build  # imported here, because it takes seconds

    names = ("data", "models", "logs", "reports")
    buckets = {f"{name}_bucket": f"world-{name}" for name in names}
    store = ObjectStore(Settings(**s3.environment(), **buckets))
    store.make_buckets()
    build(store, ObservationsTable(store.settings), tmp_path_factory.mktemp("world"))
    return store
