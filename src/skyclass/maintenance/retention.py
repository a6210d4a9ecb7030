"""Which objects are older than their declared retention."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from skyclass.ingest.job import REJECTED_PREFIX
from skyclass.maintenance.settings import MaintenanceSettings
from skyclass.monitoring.documents import DRIFT_PREFIX
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.log.layout import make_day_prefix

_DOCUMENT = ".json"
_DAY_PREFIX = "date="


def find_expired(
    store: ObjectStore, settings: MaintenanceSettings, now: datetime
) -> dict[str, list[str]]:
    """Return the keys of expired objects by bucket.

    Args:
        store: The object store.
        settings: The declared days.
        now: The current time.
    """
    buckets = store.settings
    return {
        buckets.logs_bucket: list(_find_log(store, settings.log_days, now)),
        buckets.reports_bucket: [
            key
            for key in _find_old(
                store, buckets.reports_bucket, DRIFT_PREFIX, settings.report_days, now
            )
            if not key.endswith(_DOCUMENT)  # small, and lineage and the retraining policy read them
        ],
        buckets.data_bucket: list(
            _find_old(store, buckets.data_bucket, REJECTED_PREFIX, settings.rejected_days, now)
        ),
    }


def _find_log(store: ObjectStore, days: int, now: datetime) -> Iterator[str]:
    """Yield the keys of all files of whole days of the log."""
    oldest = make_day_prefix((now - timedelta(days=days)).date())
    bucket = store.settings.logs_bucket
    for prefix in store.list_prefixes(bucket, _DAY_PREFIX) if days else ():
        if prefix < oldest:
            yield from store.list_keys(bucket, prefix)


def _find_old(
    store: ObjectStore, bucket: str, prefix: str, days: int, now: datetime
) -> Iterator[str]:
    for each in store.list_objects(bucket, f"{prefix}/") if days else ():
        if now - each.written > timedelta(days=days):
            yield each.key
