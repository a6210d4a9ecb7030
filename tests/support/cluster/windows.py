"""Windows of the prediction log of an installation: requests, and drift jobs that evaluate them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from skyclass.monitoring.documents import window_prefix
from skyclass.monitoring.windows import Window, read_window
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import KEY
from skyclass.tables.observations import ObservationsTable
from tests.support.cluster.chart import OBJECTS, Installation
from tests.support.cluster.kube import Shell, eventually

MODE = "photometric"
SERVICE = f"skyclass-{MODE}"
ADDRESS = f"http://{SERVICE}-predictor"
TIME = "%Y-%m-%dT%H:%M:%SZ"
SEND_REQUEST = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode() if sys.argv[2:] else None,
                                 {"Content-Type": "application/json"})
print(urllib.request.urlopen(request, timeout=60).read().decode())
"""


def predict_in_new_window(scaled: Installation, caller: Shell, objects: list[Any]) -> Window:
    """Request predictions, and return a window that contains exactly these rows of the log."""
    # Windows start at whole seconds; the next one excludes the requests of earlier tests.
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    eventually(lambda: datetime.now(UTC) >= start, seconds=2, interval=0.1)
    body = json.dumps({"instances": objects})
    caller.run_python(SEND_REQUEST, f"{ADDRESS}/v1/models/{SERVICE}:predict", body)
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    window = Window(Mode(MODE), scaled.get_release(MODE), start, end)
    with scaled.connect_to_store() as settings:
        store = ObjectStore(settings)
        eventually(lambda: read_window(store, window).accounting.rows_used == len(objects), 60)
    return window


def select_labelled(scaled: Installation) -> list[Any]:
    """Return objects of the newest nights, whose labels have been ingested."""
    with scaled.connect_to_store() as settings:
        table = ObservationsTable(settings)
        rows = table.read(table.version(), [*INPUTS[Mode(MODE)], *KEY]).dropna()
    return list(rows.sort_values("mjd").tail(700).round(3).to_dict("records"))


def evaluate(scaled: Installation, window: Window, *arguments: str) -> dict[str, bytes]:
    """Run the drift job for a window, and return the objects that it wrote by name."""
    bounds = ("--start", f"{window.start:{TIME}}", "--end", f"{window.end:{TIME}}")
    job = scaled.namespace.start_cron_job(
        f"{scaled.name}-drift-{MODE}", "drift", "--mode", MODE, *bounds, *arguments
    )
    assert scaled.namespace.wait_for_job(job), scaled.namespace.read_logs(job)
    prefix = window_prefix(window.mode, window.end)
    with scaled.connect_to_store() as settings:
        store, bucket = ObjectStore(settings), settings.reports_bucket
        return {
            key.removeprefix(prefix): store.get(bucket, key)
            for key in store.list_keys(bucket, prefix)
        }


def make_faint_objects() -> list[Any]:
    """Return objects that are fainter than the training data, so that their window drifts."""
    offsets = (3.0, 3.5, 3.0, 2.5, 2.0)
    return 600 * [
        [value + offset for value, offset in zip(row, offsets, strict=True)]
        for row in OBJECTS[MODE]
    ]
