"""The retraining loop: drift, verdict, training run, promotion; and rollback."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from charts.render import render
from skyclass.polling import poll
from skyclass.promotion.events import PromotionLog
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import KEY, Era
from skyclass.tables.observations import ObservationsTable
from tests.support.cluster.chart import Installation
from tests.support.cluster.kfp_api import start_kfp_api
from tests.support.cluster.kube import Namespace, Shell
from tests.support.cluster.windows import (
    ADDRESS,
    MODE,
    SEND_REQUEST,
    SERVICE,
    evaluate,
    make_faint_objects,
    predict_in_new_window,
    select_labelled,
)
from tests.support.monitoring import draw_observations, ingest_rows
from tests.support.scoring import publish_tree

OF_KUBE_STATE_METRICS = {
    "kube_cronjob_created",
    "kube_cronjob_status_last_successful_time",
    "kube_deployment_status_replicas_available",
    "kube_job_status_failed",
}
"""Metrics that alerts use, and kube-state-metrics exports."""


def test_drift_is_followed_by_training_and_a_new_served_release(
    scaled: Installation, caller: Shell
) -> None:
    namespace, before = scaled.namespace, scaled.get_release(MODE)
    window = predict_in_new_window(scaled, caller, make_faint_objects())
    written = evaluate(scaled, window)
    assert evaluate(scaled, window) == written, "evaluating a window is not idempotent"
    verdict = json.loads(written["verdict.json"])
    assert verdict["verdict"] == "drift", verdict["reason"]
    assert verdict["release"] == before

    job = scaled.start_training(
        MODE,
        source_uri="simulated:?rows=12000&era=legacy,boss&seed=1",
        newest_rows="5000",  # as the drift job trains: on the new era only
        promotion="if_not_worse",
        reason="drift",
        candidates="hist_gradient_boosting",
        search_seconds="0",  # the settings must not depend on the speed of the cluster
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


@pytest.fixture
def retraining(scaled: Installation, kfp: Namespace) -> Iterator[Installation]:
    """The installation with KFP's API, and without limits on the number of runs."""
    cron_job = scaled.namespace.get(f"cronjob/{scaled.name}-drift-{MODE}")
    pod = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    start_kfp_api(kfp, pod["containers"][0]["image"])
    scaled.install(
        drift__retraining__cooldownHours=0.0001,
        drift__retraining__perDay=1000,
        drift__retraining__accuracyRows=600,
    )
    yield scaled
    scaled.install()


def test_fallen_accuracy_starts_a_run(
    retraining: Installation, caller: Shell, tmp_path: Path
) -> None:
    with retraining.connect_to_store() as settings:  # labels that are newer than any training set
        rows = draw_observations(Era.EBOSS, 20, seed=4711)
        ingest_rows(ObservationsTable(settings), ObjectStore(settings), rows, tmp_path)

    # The key of another object gives each prediction a wrong label, without changing its inputs.
    objects = select_labelled(retraining)
    keys = [[each[name] for name in KEY] for each in objects]
    exchanged = [
        {**each, **dict(zip(KEY, key, strict=True))}
        for each, key in zip(objects, keys[50:] + keys[:50], strict=True)
    ]
    window = predict_in_new_window(retraining, caller, exchanged)
    written = evaluate(retraining, window, "--retrain", "kfp")

    assert json.loads(written["accuracy.json"])["measured"]["rows"] == len(objects)
    decision = json.loads(written["decision.json"])
    assert (decision["action"], decision["cause"]) == ("retrain", "accuracy"), decision["reason"]
    assert (decision["run"]["state"], decision["run"]["id"]) == ("running", "run-0")
    started = evaluate(retraining, window, "--retrain", "kfp")["decision.json"]
    assert json.loads(started)["run"]["id"] == "run-0", "a second run was started"


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

    def list_missing() -> set[str]:
        return used - list_exported(scaled, objects)

    poll(lambda: list_missing() == OF_KUBE_STATE_METRICS, 60)  # the monitor caches for some seconds
    assert list_missing() == OF_KUBE_STATE_METRICS


def list_exported(installation: Installation, objects: list[Any]) -> set[str]:
    """Return the names of the metrics of a pod of each PodMonitor."""
    exported: set[str] = set()
    for monitor in (each for each in objects if each["kind"] == "PodMonitor"):
        labels = monitor["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        pod, *_ = installation.namespace.list_pods(selector)
        name = f"pod/{pod['metadata']['name']}"
        installation.namespace.kubectl("wait", name, "--for=condition=Ready", "--timeout=120s")
        (container,) = pod["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        with installation.namespace.forward(name, ports["http"]) as address:
            text = urllib3.request("GET", f"{address}/metrics").data.decode()
        exported |= set(re.findall(r"^(\w+)\{?", text, re.M))
    return exported
