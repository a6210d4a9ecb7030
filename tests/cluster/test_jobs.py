"""CronJobs: by hand, by the clock, and twice for the same window."""

import json
from datetime import UTC, datetime, timedelta

from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from tests.support.cluster.chart import Installation
from tests.support.cluster.kube import eventually

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
WINDOW = (f"{TODAY - timedelta(days=30):%Y-%m-%d}", f"{TODAY - timedelta(days=29):%Y-%m-%d}")


def drift_objects(settings: Settings, mode: str) -> dict[str, bytes]:
    """Everything that the drift job has written, by key."""
    store, bucket = ObjectStore(settings), settings.reports_bucket
    return {key: store.get(bucket, key) for key in store.list_keys(bucket, f"drift/{mode}/")}


def test_the_same_window_twice_changes_nothing(installed: Installation) -> None:
    mode = "spectroscopic"
    arguments = ("drift", "--mode", mode, "--start", WINDOW[0], "--end", WINDOW[1])
    found = []
    for _ in range(2):
        job = installed.namespace.run_from(f"{installed.name}-drift-{mode}", *arguments)
        assert installed.namespace.finish(job), installed.namespace.logs(job)
        with installed.store() as settings:
            found.append(drift_objects(settings, mode))

    assert found[0] == found[1]
    (verdict,) = (data for key, data in found[0].items() if key.endswith("verdict.json"))
    assert json.loads(verdict)["verdict"] == "insufficient_data"
    assert any(key.endswith("report.html") for key in found[0])


def test_the_clock_starts_it(installed: Installation) -> None:
    name, namespace = f"{installed.name}-drift-photometric", installed.namespace
    before = namespace.names("jobs")
    namespace.kubectl("patch", "cronjob", name, "-p", '{"spec": {"schedule": "* * * * *"}}')
    try:
        eventually(lambda: namespace.names("jobs") - before, seconds=120)
    finally:
        schedule = json.dumps({"spec": {"schedule": "15 0 * * *"}})
        namespace.kubectl("patch", "cronjob", name, "-p", schedule)
    (job, *_) = namespace.names("jobs") - before

    assert job.startswith(name)
    assert namespace.finish(job), namespace.logs(job)
    day = namespace.get(f"job/{job}")["status"]["startTime"][:10].replace("-", "")
    with installed.store() as settings:
        found = drift_objects(settings, "photometric")
    assert f"drift/photometric/{day}T000000Z/verdict.json" in found, "yesterday, to midnight"
