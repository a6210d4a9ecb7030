"""The retraining loop: drift, verdict, training run, promotion; and rollback."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import urllib3

from charts.render import render
from skyclass.monitoring.documents import window_prefix
from skyclass.monitoring.windows import Window, read_window
from skyclass.promotion.events import PromotionLog
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import KEY
from skyclass.tables.observations import ObservationsTable
from tests.support.cluster.chart import OBJECTS, Installation
from tests.support.cluster.kube import Shell, eventually
from tests.support.scoring import publish_tree

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


def test_drift_is_followed_by_training_and_a_new_served_release(
    scaled: Installation, caller: Shell
) -> None:
    namespace, before = scaled.namespace, scaled.get_release(MODE)
    objects = 600 * [  # fainter than the training data
        [value + offset for value, offset in zip(row, (3.0, 3.5, 3.0, 2.5, 2.0), strict=True)]
        for row in OBJECTS[MODE]
    ]
    window = predict_in_new_window(scaled, caller, objects)
    written = evaluate(scaled, window)
    assert evaluate(scaled, window) == written, "evaluating a window is not idempotent"
    verdict = json.loads(written["verdict.json"])
    assert verdict["verdict"] == "drift", verdict["reason"]
    assert verdict["release"] == before

    job = scaled.start_training(
        MODE,
        source_uri="simulated:?rows=12000&era=legacy,boss&seed=1",
        reason="drift",
        candidates="hist_gradient_boosting",
    )
    assert namespace.wait_for_job(job, 600), namespace.read_logs(job)

    after = scaled.get_release(MODE)
    assert after != before, namespace.read_logs(job)
    with scaled.connect_to_store() as settings:
        promotion = PromotionLog(ObjectStore(settings)).list_promotions(MODE)[-1]
    assert (promotion.from_release, promotion.to_release) == (before, after)
    assert promotion.reason.startswith("drift")
    assert json.loads(caller.run_python(SEND_REQUEST, f"{ADDRESS}/v2/models/{SERVICE}"))[
        "versions"
    ] == [after]


def test_the_drift_job_rolls_back_a_release_that_is_worse_than_its_parent(
    scaled: Installation, caller: Shell, tmp_path: Path
) -> None:
    namespace, parent = scaled.namespace, scaled.get_release(MODE)
    with scaled.connect_to_store() as settings:
        worse = publish_tree(ObjectStore(settings), tmp_path, Mode(MODE)).id
    job = namespace.start_cron_job(f"{scaled.name}-drift-{MODE}", "promote", worse)
    assert namespace.wait_for_job(job), namespace.read_logs(job)
    assert scaled.get_release(MODE) == worse

    window = predict_in_new_window(scaled, caller, select_labelled(scaled))
    written = evaluate(scaled, window, "--retrain", "kfp")
    rivalry = json.loads(written["accuracy.json"])["rivalry"]
    assert rivalry["only_parent"] > rivalry["only_release"]
    decision = json.loads(written["decision.json"])
    assert decision["action"] == "roll_back", decision["reason"]
    assert scaled.get_release(MODE) == parent
    with scaled.connect_to_store() as settings:
        promotion = PromotionLog(ObjectStore(settings)).list_promotions(MODE)[-1]
    assert (promotion.from_release, promotion.to_release) == (worse, parent)
    assert promotion.reason.startswith("rolled back: ")

    assert evaluate(scaled, window, "--retrain", "kfp") == written, "the rollback was repeated"
    assert scaled.get_release(MODE) == parent


def test_alerts_and_dashboard_use_exported_metrics(scaled: Installation, caller: Shell) -> None:
    evaluate(scaled, predict_in_new_window(scaled, caller, select_labelled(scaled)))
    objects = render("-a", "monitoring.coreos.com/v1")
    (rules,) = (each for each in objects if each["kind"] == "PrometheusRule")
    (board,) = (
        json.loads(each["data"]["skyclass.json"])
        for each in objects
        if each["metadata"]["name"] == "skyclass-dashboard"
    )
    expressions = [rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"]]
    expressions += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    used = {name for text in expressions for name in re.findall(r"(\w+)\{", text)}

    exported: set[str] = set()
    for monitor in (each for each in objects if each["kind"] == "PodMonitor"):
        labels = monitor["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        pod = min(scaled.namespace.list_names("pods", selector))
        (container,) = scaled.namespace.get(f"pod/{pod}")["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        with scaled.namespace.forward(f"pod/{pod}", ports["http"]) as address:
            text = urllib3.request("GET", f"{address}/metrics").data.decode()
        exported |= set(re.findall(r"^(\w+)\{?", text, re.M))
    assert used - exported == {  # exported by kube-state-metrics
        "kube_cronjob_status_last_successful_time",
        "kube_deployment_status_replicas_available",
        "kube_job_status_failed",
    }
