"""The component `ingest`, called as KFP's executor calls it."""

import re
from pathlib import Path

import pytest
from kfp import dsl

from components.ingest.component import ingest
from skyclass.errors import CatalogError, StoreError, TrainingError
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.observations import ObservationsTable

PARAMETERS = {
    "candidates": "all",
    "mode": "photometric",
    "newest_rows": 1000,
    "promotion": "never",
    "reason": "a test",
    "search_seconds": 0,
    "seed": 0,
}


def run(source_uri: str, folder: Path, **parameters: object) -> tuple[str, int, dict[str, object]]:
    """Run the component; return the id and version of the table, and the accounting."""
    accounting = dsl.Metrics(uri=str(folder / "accounting"))
    arguments = {**PARAMETERS, **parameters, "accounting": accounting}
    table_id, version, _ = ingest.python_func(source_uri, **arguments)
    return table_id, version, accounting.metadata


def test_accounting_and_table_version_are_outputs(store: ObjectStore, tmp_path: Path) -> None:
    table_id, version, accounting = run("simulated:?rows=300&era=legacy", tmp_path)
    assert version == 1
    assert accounting["rows_in"] == accounting["inserted"] == 300
    assert run("table:", tmp_path)[:2] == (table_id, version)


def test_changed_limits_have_another_id(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_limits_id() -> str:
        accounting = dsl.Metrics(uri=str(tmp_path / "accounting"))
        source = "simulated:?rows=300&era=legacy"
        return str(ingest.python_func(source, **PARAMETERS, accounting=accounting)[2])

    default = get_limits_id()
    assert get_limits_id() == default
    (tmp_path / "limits.toml").write_text("[eras]\nolder = 1.0\n")
    monkeypatch.setenv("SKYCLASS_EXPECTATIONS_FILE", str(tmp_path / "limits.toml"))
    assert get_limits_id() != default


def test_unreadable_source_fails_the_step(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no such file: check the path"):
        run("nowhere.csv", tmp_path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"candidates": "oracle"}, "unknown candidate 'oracle': choose from"),
        ({"mode": "both"}, "unknown mode 'both': choose spectroscopic or photometric"),
        ({"newest_rows": 0}, "newest_rows is 0: choose 1 or more"),
        (
            {"promotion": "maybe"},
            "unknown promotion 'maybe': choose if_better or if_not_worse or approve or never",
        ),
        ({"reason": "{{$.x}}"}, "reason is '{{$.x}}': remove '{{'"),
        ({"search_seconds": -1}, "search_seconds is -1: choose 0 or more"),
        ({"seed": -1}, "seed is -1: choose 0 to 4294967295"),
    ],
    ids=str,
)
def test_parameter_of_any_step_is_checked_before_the_ingest(
    wrong: dict[str, object],
    message: str,
    store: ObjectStore,
    table: ObservationsTable,
    tmp_path: Path,
) -> None:
    with pytest.raises(TrainingError, match=re.escape(message)):
        run("simulated:?rows=300&era=legacy", tmp_path, **wrong)
    with pytest.raises(StoreError, match="does not exist"):
        table.version()
