"""The maintenance CronJob: it merges the prediction log with the access of its own identity."""

from datetime import UTC, datetime, timedelta

from skyclass.storage.s3 import ObjectStore
from skyclass.tables.log.layout import make_hour_prefix
from tests.support.cluster.chart import Installation
from tests.support.maintenance import read_hour, write_files

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=45)
"""An hour in which no other test predicts."""


def test_the_job_merges_the_log_and_changes_no_row(installed: Installation) -> None:
    prefix = make_hour_prefix(HOUR)
    with installed.connect_to_store() as settings:
        store = ObjectStore(settings)
        written = set(write_files(store, files=6, hour=HOUR))
        truth = read_hour(store, HOUR)

    job = installed.namespace.start_cron_job(f"{installed.name}-maintain")
    assert installed.namespace.wait_for_job(job), installed.namespace.read_logs(job)
    assert f"{prefix}: merged 6 files into 2" in installed.namespace.read_logs(job)

    with installed.connect_to_store() as settings:
        store, bucket = ObjectStore(settings), settings.logs_bucket
        found = set(store.list_keys(bucket, prefix))
        assert written <= found
        assert f"{prefix}index.json" in found
        assert read_hour(store, HOUR) == truth
        store.delete(bucket, found)
