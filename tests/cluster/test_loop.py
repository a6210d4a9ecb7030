"""The loop: drift in the log, the verdict, a training run, a new release; and the way back."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from skyclass.catalog.observation import KEY
from skyclass.features import INPUTS, Mode
from skyclass.monitoring.drift import report_prefix
from skyclass.monitoring.windows import Window, read_window
from skyclass.store.observations import ObservationsTable
from skyclass.store.releases import Registry
from skyclass.store.s3 import ObjectStore
from tests.cluster.chart import OBJECTS, Installation
from tests.cluster.kube import Shell, eventually
from tests.scoring import publish_tree

MODE = "photometric"
SERVICE = f"skyclass-{MODE}"
ADDRESS = f"http://{SERVICE}-predictor"
TIME = "%Y-%m-%dT%H:%M:%SZ"
ASK = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode() if sys.argv[2:] else None,
                                 {"Content-Type": "application/json"})
print(urllib.request.urlopen(request, timeout=60).read().decode())
"""


def ask_in_a_window(lively: Installation, caller: Shell, objects: list[Any]) -> Window:
    """Ask about objects, and wait for the window of exactly these answers."""
    # The next whole second: what the tests before this one asked lies before it.
    begun = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    eventually(lambda: datetime.now(UTC) >= begun, seconds=2, pause=0.1)
    body = json.dumps({"instances": objects})
    caller.python(ASK, f"{ADDRESS}/v1/models/{SERVICE}:predict", body)
    window = Window(Mode(MODE), lively.release(MODE), begun, begun + timedelta(hours=1))
    with lively.store() as settings:
        store = ObjectStore(settings)
        eventually(lambda: read_window(store, window).accounting.rows_used == len(objects), 60)
    return window


def judge(lively: Installation, window: Window, *more: str) -> dict[str, bytes]:
    """Have the job judge a window; what it leaves behind, by name."""
    bounds = ("--start", f"{window.start:{TIME}}", "--end", f"{window.end:{TIME}}")
    job = lively.namespace.run_from(
        f"{lively.name}-drift-{MODE}", "drift", "--mode", MODE, *bounds, *more
    )
    assert lively.namespace.finish(job), lively.namespace.logs(job)
    prefix = report_prefix(window.mode, window.end)
    with lively.store() as settings:
        store, bucket = ObjectStore(settings), settings.reports_bucket
        return {
            key.removeprefix(prefix): store.get(bucket, key) for key in store.keys(bucket, prefix)
        }


def test_drift_then_training_then_the_endpoint_serves_the_new_release(
    lively: Installation, caller: Shell
) -> None:
    namespace, before = lively.namespace, lively.release(MODE)
    objects = 600 * [  # fainter than any that it was trained on
        [value + by for value, by in zip(row, (3.0, 3.5, 3.0, 2.5, 2.0), strict=True)]
        for row in OBJECTS[MODE]
    ]
    window = ask_in_a_window(lively, caller, objects)
    left = judge(lively, window)
    assert judge(lively, window) == left, "judging a window again changed it"
    verdict = json.loads(left["verdict.json"])
    assert verdict["verdict"] == "drift", verdict["reason"]
    assert verdict["release"] == before

    job = lively.train(
        MODE,
        source_uri="simulated:?rows=12000&era=legacy,boss&seed=1",
        reason="drift",
        candidates="hist_gradient_boosting",
    )
    assert namespace.finish(job, 600), namespace.logs(job)

    after = lively.release(MODE)
    assert after != before, namespace.logs(job)
    with lively.store() as settings:
        promotion = Registry(ObjectStore(settings)).promotions(MODE)[-1]
    assert (promotion.from_release, promotion.to_release) == (before, after)
    assert promotion.reason.startswith("drift")
    assert json.loads(caller.python(ASK, f"{ADDRESS}/v2/models/{SERVICE}"))["versions"] == [after]


def test_a_release_that_is_worse_than_its_parent_is_rolled_back_by_the_job(
    lively: Installation, caller: Shell, tmp_path: Path
) -> None:
    namespace, parent = lively.namespace, lively.release(MODE)
    with lively.store() as settings:
        worse = publish_tree(ObjectStore(settings), tmp_path, Mode(MODE)).id  # of the first era
        table, columns = ObservationsTable(settings), [*INPUTS[Mode(MODE)], *KEY]
        labelled = table.read(table.version(), columns).dropna().sort_values("mjd").tail(700)
    job = namespace.run_from(f"{lively.name}-drift-{MODE}", "promote", worse)
    assert namespace.finish(job), namespace.logs(job)
    assert lively.release(MODE) == worse

    window = ask_in_a_window(lively, caller, labelled.round(3).to_dict("records"))
    left = judge(lively, window, "--retrain", "kfp")
    rivalry = json.loads(left["accuracy.json"])["rivalry"]
    assert rivalry["only_parent"] > rivalry["only_release"]
    decision = json.loads(left["decision.json"])
    assert decision["action"] == "roll_back", decision["reason"]
    assert lively.release(MODE) == parent
    with lively.store() as settings:
        promotion = Registry(ObjectStore(settings)).promotions(MODE)[-1]
    assert (promotion.from_release, promotion.to_release) == (worse, parent)
    assert promotion.reason.startswith("rolled back: ")

    assert judge(lively, window, "--retrain", "kfp") == left, "it was done twice"
    assert lively.release(MODE) == parent
