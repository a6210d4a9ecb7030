"""The component `ingest`, called as KFP's executor calls it."""

from pathlib import Path

import pytest
from kfp import dsl

from components.ingest.component import ingest
from skyclass.errors import CatalogError
from skyclass.storage.s3 import ObjectStore


def test_accounting_and_table_version_are_outputs(store: ObjectStore, tmp_path: Path) -> None:
    accounting = dsl.Metrics(uri=str(tmp_path / "accounting"))
    table_id, version = ingest.python_func("simulated:?rows=300&era=legacy", accounting)
    assert version == 1
    found = accounting.metadata
    assert found["rows_in"] == found["inserted"] == 300
    assert ingest.python_func("table:", accounting) == (table_id, version)


def test_unreadable_source_fails_the_step(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no such file: check the path"):
        ingest.python_func("nowhere.csv", dsl.Metrics(uri=str(tmp_path / "accounting")))
