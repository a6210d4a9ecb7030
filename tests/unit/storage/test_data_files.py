"""Data files have the statistics by which readers skip files, and no wrong ones."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from pyarrow import fs

from skyclass.storage.data_files import write_data_files

FIRST_ID = 1_237_648_720_693_755_918
"""As of the survey; a floating-point number does not hold it."""

SCHEMA = pa.schema(
    [
        ("source_id", pa.int64()),
        ("class", pa.string()),
        ("label", pa.string()),
        ("u", pa.float64()),
        ("err_u", pa.float64()),
        ("scored_at", pa.timestamp("us", tz="UTC")),
        ("out_of_domain", pa.bool_()),
        ("era", pa.string()),
    ]
)
TIME = datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC)
ROWS = [
    {"source_id": FIRST_ID, "class": "STAR", "u": 1.0, "era": "boss", "scored_at": TIME},
    {"source_id": FIRST_ID + 1, "era": "boss", "out_of_domain": True},
    {"source_id": FIRST_ID + 2, "class": "QSO", "u": 2.0, "era": "sdss", "out_of_domain": False},
]


@pytest.fixture(params=["commits", "checkpoint"])
def table(tmp_path: Path, request: pytest.FixtureRequest) -> DeltaTable:
    """A table of a file per era, read from its commits or from a checkpoint."""
    table = DeltaTable.create(str(tmp_path), SCHEMA, partition_by=["era"])
    filesystem = fs.PyFileSystem(DeltaStorageHandler(str(tmp_path)))
    rows = [{**row, "err_u": float("nan")} for row in ROWS]  # not a number in JSON
    files = write_data_files(pa.Table.from_pylist(rows, SCHEMA), "era", filesystem)
    table.create_write_transaction(files, "append", table.schema(), ["era"])
    table = DeltaTable(str(tmp_path))
    if request.param == "checkpoint":
        table.create_checkpoint()
    return DeltaTable(str(tmp_path))


def test_bounds_of_ids_are_exact(table: DeltaTable) -> None:
    files = pa.table(table.get_add_actions(flatten=True)).sort_by("partition.era")
    assert files["min.source_id"].to_pylist() == [FIRST_ID, FIRST_ID + 2]
    assert files["max.source_id"].to_pylist() == [FIRST_ID + 1, FIRST_ID + 2]
    assert files["num_records"].to_pylist() == [2, 1]


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        (ds.field("source_id") == FIRST_ID + 1, 1),
        (ds.field("class") == "QSO", 1),
        (ds.field("class").is_null(), 1),
        (ds.field("label").is_null(), 3),
        (ds.field("label") == "STAR", 0),
        (ds.field("u") == 1.0, 1),
        (ds.field("u") > 0, 2),
        (ds.field("scored_at") == pa.scalar(TIME, SCHEMA.field("scored_at").type), 1),
        (ds.field("out_of_domain"), 1),
        (ds.field("era") == "boss", 2),
    ],
)
def test_no_row_is_skipped_by_statistics(
    condition: ds.Expression, rows: int, table: DeltaTable
) -> None:
    assert table.to_pyarrow_dataset().to_table(filter=condition).num_rows == rows
