"""CronJobs: started manually and by schedule, and their idempotence."""

import json
from datetime import UTC, datetime, timedelta

from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from tests.support.cluster.chart import NEVER, Installation
from tests.support.cluster.kube import eventually

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
WINDOW = (f"{TODAY - timedelta(days=30):%Y-%m-%d}", f"{TODAY - timedelta(days=29):%Y-%m-%d}")


def read_drift_objects(settings: Settings, mode: str) -> dict[str, bytes]:
    """Return all objects that the drift jobs of a mode have written, by key."""
    store, bucket = ObjectStore(settings), settings.reports_bucket
    return {key: store.get(bucket, key) for key in store.list_keys(bucket, f"drift/{mode}/")}


def test_evaluating_a_window_is_idempotent(installed: Installation) -> None:
    mode = "spectroscopic"
    arguments = ("drift", "--mode", mode, "--start", WINDOW[0], "--end", WINDOW[1])
    found = []
    for _ in range(2):
        job = installed.namespace.start_cron_job(f"{installed.name}-drift-{mode}", *arguments)
        assert installed.namespace.wait_for_job(job), installed.namespace.read_logs(job)
        with installed.connect_to_store() as settings:
            found.append(read_drift_objects(settings, mode))

    assert found[0] == found[1]
    window = f"drift/{mode}/{WINDOW[1].replace('-', '')}T000000Z"
    assert json.loads(found[0][f"{window}/verdict.json"])["verdict"] == "insufficient_data"
    assert f"{window}/report.html" in found[0]


def test_the_schedule_starts_a_job_for_the_previous_day(installed: Installation) -> None:
    name, namespace = f"{installed.name}-drift-photometric", installed.namespace

    def list_started() -> list[str]:
        return [job for job in namespace.list_names("jobs") if job.startswith(name)]

    def set_schedule(schedule: str) -> None:
        patch = json.dumps({"spec": {"schedule": schedule}})
        namespace.kubectl("patch", "cronjob", name, "-p", patch)

    assert list_started() == []
    set_schedule("* * * * *")
    try:
        job = eventually(list_started, seconds=120)[0]
    finally:
        set_schedule(NEVER)

    assert namespace.wait_for_job(job), namespace.read_logs(job)
    status = namespace.get(f"job/{job}")["status"]
    days = {status[each][:10].replace("-", "") for each in ("startTime", "completionTime")}
    with installed.connect_to_store() as settings:
        found = read_drift_objects(settings, "photometric")
    verdicts = {f"drift/photometric/{day}T000000Z/verdict.json" for day in days}
    assert verdicts & found.keys(), "the window is not the previous day"
