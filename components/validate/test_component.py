"""The validate step, called as KFP's executor calls it."""

from pathlib import Path

import pytest
from kfp import dsl

from components.validate.component import validate
from skyclass.catalog.sources import open_source
from skyclass.errors import TrainingError
from skyclass.features import Mode
from skyclass.store.ingest import ingest
from skyclass.store.observations import ObservationsTable
from skyclass.store.s3 import ObjectStore
from skyclass.training.dataset import Dataset


@pytest.fixture
def version(table: ObservationsTable, store: ObjectStore) -> int:
    return ingest(open_source("simulated:?rows=900", Path), table, store).version


def test_it_leaves_a_dataset_with_its_lineage(version: int, tmp_path: Path) -> None:
    dataset = dsl.Dataset(uri=str(tmp_path / "dataset"))
    training_set = dsl.Metrics(uri=str(tmp_path / "training_set"))
    validate.python_func("a table", version, "photometric", 500, dataset, training_set)
    assert training_set.metadata["rows"] == training_set.metadata["synthetic_rows"] == 500
    assert len(Dataset.load(Path(dataset.path), Mode.PHOTOMETRIC).rows) == 500


@pytest.mark.parametrize(
    ("mode", "newest_rows", "reason"),
    [("both", 500, "unknown mode 'both'"), ("photometric", 20, "ingest more")],
)
def test_what_cannot_be_trained_on_stops_the_run(
    version: int, tmp_path: Path, mode: str, newest_rows: int, reason: str
) -> None:
    outputs = dsl.Dataset(uri=str(tmp_path / "d")), dsl.Metrics(uri=str(tmp_path / "m"))
    with pytest.raises(TrainingError, match=reason):
        validate.python_func("a table", version, mode, newest_rows, *outputs)
