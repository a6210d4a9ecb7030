"""The loop: drift in the log, the verdict, a training run, a new release; and the way back."""

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


def labelled(lively: Installation) -> list[Any]:
    """Objects of the newest nights, whose labels have been ingested."""
    with lively.store() as settings:
        table = ObservationsTable(settings)
        rows = table.read(table.version(), [*INPUTS[Mode(MODE)], *KEY]).dropna()
    return list(rows.sort_values("mjd").tail(700).round(3).to_dict("records"))


def judge(lively: Installation, window: Window, *more: str) -> dict[str, bytes]:
    """Have the job judge a window; what it leaves behind, by name."""
    bounds = ("--start", f"{window.start:{TIME}}", "--end", f"{window.end:{TIME}}")
    job = lively.namespace.run_from(
        f"{lively.name}-drift-{MODE}", "drift", "--mode", MODE, *bounds, *more
    )
    assert lively.namespace.finish(job), lively.namespace.logs(job)
    prefix = window_prefix(window.mode, window.end)
    with lively.store() as settings:
        store, bucket = ObjectStore(settings), settings.reports_bucket
        return {
            key.removeprefix(prefix): store.get(bucket, key)
            for key in store.list_keys(bucket, prefix)
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
        promotion = PromotionLog(ObjectStore(settings)).list_promotions(MODE)[-1]
    assert (promotion.from_release, promotion.to_release) == (before, after)
    assert promotion.reason.startswith("drift")
    assert json.loads(caller.python(ASK, f"{ADDRESS}/v2/models/{SERVICE}"))["versions"] == [after]


def test_a_release_that_is_worse_than_its_parent_is_rolled_back_by_the_job(
    lively: Installation, caller: Shell, tmp_path: Path
) -> None:
    namespace, parent = lively.namespace, lively.release(MODE)
    with lively.store() as settings:
        worse = publish_tree(ObjectStore(settings), tmp_path, Mode(MODE)).id  # of the first era
    job = namespace.run_from(f"{lively.name}-drift-{MODE}", "promote", worse)
    assert namespace.finish(job), namespace.logs(job)
    assert lively.release(MODE) == worse

    window = ask_in_a_window(lively, caller, labelled(lively))
    left = judge(lively, window, "--retrain", "kfp")
    rivalry = json.loads(left["accuracy.json"])["rivalry"]
    assert rivalry["only_parent"] > rivalry["only_release"]
    decision = json.loads(left["decision.json"])
    assert decision["action"] == "roll_back", decision["reason"]
    assert lively.release(MODE) == parent
    with lively.store() as settings:
        promotion = PromotionLog(ObjectStore(settings)).list_promotions(MODE)[-1]
    assert (promotion.from_release, promotion.to_release) == (worse, parent)
    assert promotion.reason.startswith("rolled back: ")

    assert judge(lively, window, "--retrain", "kfp") == left, "it was done twice"
    assert lively.release(MODE) == parent


def test_the_alerts_and_the_dashboard_ask_for_metrics_that_there_are(
    lively: Installation, caller: Shell
) -> None:
    judge(lively, ask_in_a_window(lively, caller, labelled(lively)))
    objects = render("-a", "monitoring.coreos.com/v1")
    (rules,) = (each for each in objects if each["kind"] == "PrometheusRule")
    (board,) = (
        json.loads(each["data"]["skyclass.json"])
        for each in objects
        if each["metadata"]["name"] == "skyclass-dashboard"
    )
    asked = [rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"]]
    asked += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    wanted = {name for text in asked for name in re.findall(r"(\w+)\{", text)}

    found: set[str] = set()
    for monitor in (each for each in objects if each["kind"] == "PodMonitor"):
        labels = monitor["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        pod = min(lively.namespace.names("pods", selector))
        (container,) = lively.namespace.get(f"pod/{pod}")["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        with lively.namespace.forwarded(f"pod/{pod}", ports["http"]) as address:
            text = urllib3.request("GET", f"{address}/metrics").data.decode()
        found |= set(re.findall(r"^(\w+)\{?", text, re.M))
    assert wanted - found == {  # these are kube-state-metrics'
        "kube_cronjob_status_last_successful_time",
        "kube_deployment_status_replicas_available",
        "kube_job_status_failed",
    }
