"""The alerts: unit tests with promtool, runbooks, and the metrics that they use."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from charts.render import ROOT, render
from skyclass.apps.monitor.metrics import OUTCOMES
from skyclass.serving import log_writer, metrics

TESTS = Path(__file__).with_name("alerts.yaml")
RUNBOOKS = ROOT / "docs/runbooks"
OBJECTS = render("-n", "here", "-a", "monitoring.coreos.com/v1")


def get_groups() -> list[dict[str, Any]]:
    (rule,) = (each for each in OBJECTS if each["kind"] == "PrometheusRule")
    return list(rule["spec"]["groups"])


def list_alerts() -> list[dict[str, Any]]:
    return [alert for group in get_groups() for alert in group["rules"]]


def test_promtool_unit_tests_pass(tmp_path: Path) -> None:
    shutil.copy(TESTS, tmp_path)
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": get_groups()}))
    tool = os.environ.get("PROMTOOL", "promtool")
    completed = subprocess.run(
        [tool, "test", "rules", str(tmp_path / TESTS.name)], capture_output=True, text=True
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    tests = yaml.safe_load(TESTS.read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    names = {alert["alert"] for alert in list_alerts()}
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == names
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == names


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    runbooks = {alert["alert"]: alert["annotations"]["runbook"] for alert in list_alerts()}
    assert runbooks == {name: f"docs/runbooks/{name}.md" for name in runbooks}
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(runbooks)
    for name in runbooks:
        text = (RUNBOOKS / f"{name}.md").read_text()
        assert text.startswith(f"# {name}\n")
        assert "\n## Diagnosis\n" in text
        assert "\n## Mitigation\n" in text


def list_predictor_metrics() -> set[str]:
    """Return the names of the time series that the predictor exports."""
    suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_count", "_sum"]}
    assert log_writer and metrics  # importing them registers the metrics
    return {
        family.name + suffix
        for family in REGISTRY.collect()
        for suffix in suffixes.get(family.type, ())
    }


def list_monitor_metrics() -> set[str]:
    """Return the names of the time series that the monitor page exports."""
    text = (ROOT / "src/skyclass/apps/monitor/metrics.py").read_text()
    return {f"skyclass_{name}" for name in re.findall(r'gauges\.add\(\s*"(\w+)"', text)}


@pytest.mark.parametrize("where", ["alerts", "dashboard"])
def test_only_exported_metrics_are_used(where: str) -> None:
    board = (ROOT / "charts/skyclass/dashboards/skyclass.json").read_text()
    used = set(
        re.findall(r"skyclass_[a-z_]+", json.dumps(get_groups()) if where == "alerts" else board)
    )
    assert len(used) > 3
    assert used <= list_predictor_metrics() | list_monitor_metrics()


def test_only_existing_outcomes_are_used() -> None:
    used = re.findall(r'outcome=\\+"(\w+)\\+"', json.dumps(get_groups()))
    assert set(used) - {"dropped", "written"} <= set(OUTCOMES)
