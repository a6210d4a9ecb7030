"""The alerts, tested with Prometheus' own tool, and what stands behind each of them."""

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


def groups() -> list[dict[str, Any]]:
    (rule,) = (each for each in OBJECTS if each["kind"] == "PrometheusRule")
    return list(rule["spec"]["groups"])


def alerts() -> list[dict[str, Any]]:
    return [alert for group in groups() for alert in group["rules"]]


def test_each_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    shutil.copy(TESTS, tmp_path)
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups()}))
    tool = os.environ.get("PROMTOOL", "promtool")
    done = subprocess.run(
        [tool, "test", "rules", str(tmp_path / TESTS.name)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested_firing_and_silent() -> None:
    tests = yaml.safe_load(TESTS.read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    names = {alert["alert"] for alert in alerts()}
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == names
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == names


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    named = {alert["alert"]: alert["annotations"]["runbook"] for alert in alerts()}
    assert named == {name: f"docs/runbooks/{name}.md" for name in named}
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(named)
    for name in named:
        text = (RUNBOOKS / f"{name}.md").read_text()
        assert text.startswith(f"# {name}\n")
        assert "\n## Look\n" in text
        assert "\n## Do\n" in text


def told_by_the_predictor() -> set[str]:
    """The time series that the predictor has."""
    suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_count", "_sum"]}
    assert log_writer and metrics  # which register what they count
    return {
        family.name + suffix
        for family in REGISTRY.collect()
        for suffix in suffixes.get(family.type, ())
    }


def told_by_the_page() -> set[str]:
    """The time series that the monitor page has."""
    text = (ROOT / "src/skyclass/apps/monitor/metrics.py").read_text()
    return {f"skyclass_{name}" for name in re.findall(r'gauges\.add\(\s*"(\w+)"', text)}


@pytest.mark.parametrize("where", ["alerts", "dashboard"])
def test_only_metrics_that_are_told_are_asked_for(where: str) -> None:
    board = (ROOT / "charts/skyclass/dashboards/skyclass.json").read_text()
    asked = set(
        re.findall(r"skyclass_[a-z_]+", json.dumps(groups()) if where == "alerts" else board)
    )
    assert len(asked) > 3
    assert asked <= told_by_the_predictor() | told_by_the_page()


def test_only_outcomes_that_exist_are_asked_for() -> None:
    asked = re.findall(r'outcome=\\+"(\w+)\\+"', json.dumps(groups()))
    assert set(asked) - {"dropped", "written"} <= set(OUTCOMES)
