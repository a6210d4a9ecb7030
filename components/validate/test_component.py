"""The component `validate`, called as KFP's executor calls it."""

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
        "exploration": dsl.HTML(uri=str(folder / "exploration")),
    }


def test_dataset_lineage_and_exploration_report_are_outputs(version: int, tmp_path: Path) -> None:
    artifacts = outputs(tmp_path)
    validate.python_func("a table", version, "photometric", 500, "limits", **artifacts)
    dataset = Dataset.load(Path(artifacts["dataset"].path), Mode.PHOTOMETRIC)
    assert len(dataset.rows) == dataset.summary.rows == dataset.summary.synthetic_rows == 500
    exploration = Path(artifacts["exploration"].path).read_text()
    assert "Synthetic data." in exploration
    assert not re.findall(r'(?:src|<link[^>]+href)="https?:', exploration)


@pytest.mark.parametrize(
    ("mode", "newest_rows", "reason"),
    [("both", 500, "unknown mode 'both'"), ("photometric", 20, "ingest more")],
)
def test_unknown_mode_and_too_few_rows_fail_the_step(
    version: int, tmp_path: Path, mode: str, newest_rows: int, reason: str
) -> None:
    with pytest.raises(TrainingError, match=reason):
        validate.python_func("a table", version, mode, newest_rows, "limits", **outputs(tmp_path))


def test_failed_validation_writes_the_report_and_no_dataset(
    table: ObservationsTable, store: ObjectStore, tmp_path: Path
) -> None:
    rows = next(open_source("simulated:?rows=900&era=boss", store).read_batches(0)).rows.to_pandas()
    rows["u"] = rows["u"].where(rows.index % 4 > 0)
    rows.to_parquet(tmp_path / "rows.parquet")
    version = ingest(open_source(str(tmp_path / "rows.parquet"), store), table, store).version
    artifacts = outputs(tmp_path)
    with pytest.raises(ValidationError, match=r"^validation failed: u: not measured in 2\d\.\d%"):
        validate.python_func("a table", version, "photometric", 900, "limits", **artifacts)
    assert Path(artifacts["exploration"].path).exists()
    assert not Path(artifacts["dataset"].path).exists()
