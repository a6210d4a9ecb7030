"""A store is whole if everything that it refers to is there."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from skyclass.admin.verify import verify_store
from skyclass.ingest.job import ingest
from skyclass.maintenance.merge import merge_hour
from skyclass.registry.releases import MANIFEST
from skyclass.sources import open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.observations import ObservationsTable
from tests.support.command_line import CommandLine
from tests.support.stored import load_stored

HOUR = datetime(2026, 5, 1, 22, tzinfo=UTC)


@pytest.fixture
def stored(store: ObjectStore) -> ObjectStore:
    """A store with releases, windows, tables and a merged hour of the log."""
    load_stored(store)
    merge_hour(store, HOUR)
    return store


def find_key(store: ObjectStore, bucket: str, part: str) -> str:
    """Return the last key that contains a text."""
    return [key for key in store.list_keys(bucket, "") if part in key][-1]


def test_a_whole_store_has_no_problem(stored: ObjectStore, command_line: CommandLine) -> None:
    found = verify_store(stored)
    assert found.problems == ()
    assert (found.releases, found.promotions, found.windows, found.log_hours) == (3, 3, 5, 1)
    assert found.table_versions > 2
    assert "releases        3" in command_line.run("verify").out


def test_rows_that_are_ingested_meanwhile_are_no_problem(stored: ObjectStore) -> None:
    table = ObservationsTable(stored.settings)

    class StoreInUse(ObjectStore):
        """A store whose table gets rows whenever its keys have been listed."""

        def list_keys(self, bucket: str, prefix: str) -> Iterator[str]:
            yield from super().list_keys(bucket, prefix)
            if bucket == self.settings.data_bucket:
                ingest(open_source("simulated:?rows=20&seed=7", self), table, self)

    before = table.version()
    assert verify_store(StoreInUse(stored.settings)).problems == ()
    assert table.version() > before


@pytest.mark.parametrize(
    ("kind", "part", "problem"),
    [
        ("models", "/model.onnx", "model.onnx is missing"),
        ("models", "/manifest.json", "was promoted, but is missing"),
        ("data", "observations/era=", "the file is missing, version"),
        ("data", "predictions/model_version=", "the file is missing, version"),
        ("logs", "merged/", "the file is missing"),
    ],
)
def test_what_is_missing_is_reported(
    kind: str, part: str, problem: str, stored: ObjectStore, command_line: CommandLine
) -> None:
    bucket = getattr(stored.settings, f"{kind}_bucket")
    stored.delete(bucket, [find_key(stored, bucket, part)])
    found = verify_store(stored)
    assert any(problem in each for each in found.problems)
    assert "restore what is missing" in command_line.run_failing("verify")


def test_a_damaged_file_of_a_release_is_reported(stored: ObjectStore) -> None:
    bucket = stored.settings.models_bucket
    stored.put(bucket, find_key(stored, bucket, "/model.joblib"), b"damaged", "")
    (problem,) = verify_store(stored).problems
    assert "model.joblib: 7 bytes with digest" in problem


def test_a_damaged_manifest_hides_no_other_release(stored: ObjectStore) -> None:
    bucket = stored.settings.models_bucket
    *_, damaged, other = (key for key in stored.list_keys(bucket, "") if key.endswith(MANIFEST))
    stored.put(bucket, damaged, b"{}", "")
    stored.delete(bucket, [other.replace(MANIFEST, "model.onnx")])
    release = damaged.split("/")[-2]
    modified, missing, promoted = verify_store(stored).problems
    assert modified.startswith(f"release {release[:12]}: its manifest was modified")
    assert "model.onnx is missing" in missing
    assert promoted == f"release {release} was promoted, but is missing or damaged"


@pytest.mark.parametrize("name", ["verdict.json", "accuracy.json", "decision.json"])
def test_a_malformed_document_of_a_window_is_reported(name: str, stored: ObjectStore) -> None:
    bucket = stored.settings.reports_bucket
    key = find_key(stored, bucket, name)
    stored.put(bucket, key, b"{}", "")
    (problem,) = verify_store(stored).problems
    assert problem.startswith(f"{key}: not a valid ")


def test_a_malformed_event_is_reported(stored: ObjectStore) -> None:
    bucket = stored.settings.models_bucket
    stored.put(bucket, find_key(stored, bucket, "promotions/"), b"{}", "")
    (problem,) = verify_store(stored).problems
    assert "not a valid promotion" in problem
