"""The validate step, called as KFP's executor calls it."""

import re
from pathlib import Path

import pytest
from kfp import dsl

from components.validate.component import validate
from skyclass.errors import TrainingError, ValidationError
from skyclass.ingest.job import ingest
from skyclass.sources import open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.tables.observations import ObservationsTable
from skyclass.training.dataset import Dataset


@pytest.fixture
def version(table: ObservationsTable, store: ObjectStore) -> int:
    return ingest(open_source("simulated:?rows=900", store), table, store).version


def outputs(folder: Path) -> dict[str, dsl.Artifact]:
    return {
        "dataset": dsl.Dataset(uri=str(folder / "dataset")),
        "training_set": dsl.Metrics(uri=str(folder / "training_set")),
        "data_report": dsl.HTML(uri=str(folder / "data_report")),
        "exploration": dsl.HTML(uri=str(folder / "exploration")),
    }


def test_it_leaves_a_dataset_with_its_lineage_and_two_pages(version: int, tmp_path: Path) -> None:
    left = outputs(tmp_path)
    validate.python_func("a table", version, "photometric", 500, **left)
    found = left["training_set"].metadata
    assert found["rows"] == found["synthetic_rows"] == 500
    assert len(Dataset.load(Path(left["dataset"].path), Mode.PHOTOMETRIC).rows) == 500
    exploration, data_report = (
        Path(left[name].path).read_text() for name in ("exploration", "data_report")
    )
    assert "Synthetic data." in exploration
    assert "rows to learn from</title>" in data_report
    assert not re.findall(r'(?:src|<link[^>]+href)="https?:', exploration + data_report)


@pytest.mark.parametrize(
    ("mode", "newest_rows", "reason"),
    [("both", 500, "unknown mode 'both'"), ("photometric", 20, "ingest more")],
)
def test_what_cannot_be_trained_on_stops_the_run(
    version: int, tmp_path: Path, mode: str, newest_rows: int, reason: str
) -> None:
    with pytest.raises(TrainingError, match=reason):
        validate.python_func("a table", version, mode, newest_rows, **outputs(tmp_path))


def test_what_is_not_as_expected_leaves_the_pages_and_no_dataset(
    table: ObservationsTable, store: ObjectStore, tmp_path: Path
) -> None:
    rows = next(open_source("simulated:?rows=900&era=boss", store).read_batches(0)).rows.to_pandas()
    rows["u"] = rows["u"].where(rows.index % 4 > 0)
    rows.to_parquet(tmp_path / "rows.parquet")
    version = ingest(open_source(str(tmp_path / "rows.parquet"), store), table, store).version
    left = outputs(tmp_path)
    with pytest.raises(ValidationError, match=r"^validation failed: u: not measured in 2\d\.\d%"):
        validate.python_func("a table", version, "photometric", 900, **left)
    assert Path(left["data_report"].path).exists()
    assert not Path(left["dataset"].path).exists()
