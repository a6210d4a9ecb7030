"""Fixtures shared by all tests: a real S3 server, and buckets of each test's own."""

import os
from collections.abc import Iterator
from pathlib import Path

# Before scikit-learn is imported: gradient boosting with a thread per core is many times slower
# beside other processes.
os.environ["OMP_NUM_THREADS"] = "1"

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

REAL_ROWS = Path(__file__).resolve().parents[1] / "shared/data/sdss_dr17_20k.csv"


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    """A real S3 server, one for each test process."""
    with EmbeddedS3(tmp_path_factory.mktemp("s3")) as access:
        yield access


@pytest.fixture
def environment(s3: Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings of this test as environment variables, set for it and its child processes."""
    variables = make_environment(s3, tmp_path / "home")
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    return variables


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    """The settings of this test."""
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
def real_rows() -> Path:
    """The 20,000 real rows, read in place."""
    if not REAL_ROWS.exists():
        pytest.skip(f"real SDSS rows are not at {REAL_ROWS}")
    return REAL_ROWS


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """1,800 simulated Legacy rows in spectroscopic mode, in the order of time."""
    return make_simulated_dataset(Mode.SPECTROSCOPIC, rows=1_800)


@pytest.fixture(scope="session")
def models_folder(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What training wrote: a decision tree fitted on the small dataset."""
    folder = tmp_path_factory.mktemp("models")
    fit(dataset, ["decision_tree"], seed=0, folder=folder)
    return folder


@pytest.fixture(scope="session")
def world(s3: Access, tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    """A store with a fortnight of monitoring in it."""
    from tests.support.world import build  # it takes seconds, and most tests do without

    names = ("data", "models", "logs", "reports")
    buckets = {f"{name}_bucket": f"world-{name}" for name in names}
    store = ObjectStore(Settings(**s3.environment(), **buckets))
    store.make_buckets()
    build(store, ObservationsTable(store.settings), tmp_path_factory.mktemp("world"))
    return store
