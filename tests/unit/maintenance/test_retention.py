"""Deletion of expired objects."""

from datetime import UTC, datetime, timedelta

import pytest

from skyclass.errors import SkyclassError
from skyclass.maintenance.retention import find_expired
from skyclass.maintenance.settings import MIN_DAYS, MaintenanceSettings
from skyclass.settings import load
from skyclass.storage.s3 import ObjectStore
from tests.support.maintenance import HOUR, write_files

WINDOW = "drift/spectroscopic/20260501T000000Z/"
DOCUMENTS = [WINDOW + name for name in ("verdict.json", "accuracy.json", "decision.json")]
REPORTS = [WINDOW + name for name in ("report.html", "snapshot.json.gz")]
REJECTED = "rejected/batch.parquet"


@pytest.fixture
def filled(store: ObjectStore) -> ObjectStore:
    """A store with a day of the log, a window and rejected rows, all written now."""
    write_files(store, files=1)
    for key in (*DOCUMENTS, *REPORTS, "notifications/sent.json"):
        store.put(store.settings.reports_bucket, key, b"{}", "")
    for key in (REJECTED, "observations/_delta_log/0.json", "sources/mine.csv"):
        store.put(store.settings.data_bucket, key, b"", "")
    return store


def find(store: ObjectStore, later: timedelta = timedelta(0), **days: int) -> dict[str, list[str]]:
    found = find_expired(store, MaintenanceSettings(**days), datetime.now(UTC) + later)
    return {bucket: keys for bucket, keys in found.items() if keys}


def test_everything_is_kept_by_default(filled: ObjectStore) -> None:
    assert find(filled, timedelta(days=10_000)) == {}


def test_whole_days_of_the_log_expire(filled: ObjectStore) -> None:
    keys = list(filled.list_keys(filled.settings.logs_bucket, ""))
    last = HOUR.replace(hour=23) + timedelta(days=20)
    options = MaintenanceSettings(log_days=20)
    assert find_expired(filled, options, last)[filled.settings.logs_bucket] == []
    day_after = last + timedelta(hours=1)
    assert find_expired(filled, options, day_after)[filled.settings.logs_bucket] == keys


def test_reports_expire_and_documents_are_kept(filled: ObjectStore) -> None:
    days = timedelta(days=20)
    assert find(filled, days - timedelta(minutes=5), report_days=20) == {}
    found = find(filled, days + timedelta(minutes=5), report_days=20)
    assert found == {filled.settings.reports_bucket: REPORTS}


def test_rejected_rows_expire(filled: ObjectStore) -> None:
    days = timedelta(days=3)
    assert find(filled, days - timedelta(minutes=5), rejected_days=3) == {}
    found = find(filled, days + timedelta(minutes=5), rejected_days=3)
    assert found == {filled.settings.data_bucket: [REJECTED]}


@pytest.mark.parametrize("name", ["LOG_DAYS", "REPORT_DAYS"])
def test_retention_that_ends_before_labels_arrive_is_rejected(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SKYCLASS_MAINTAIN_{name}", str(MIN_DAYS))
    load(MaintenanceSettings)
    monkeypatch.setenv(f"SKYCLASS_MAINTAIN_{name}", str(MIN_DAYS - 1))
    with pytest.raises(SkyclassError, match=rf"SKYCLASS_MAINTAIN_{name} .*15 days are too few"):
        load(MaintenanceSettings)
