"""The metrics of the monitor, parsed by Prometheus' own parser."""

from datetime import datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from skyclass.apps.monitor.app import make_app
from skyclass.apps.monitor.state import StateReader
from skyclass.monitoring.documents import save_document
from skyclass.monitoring.estimate import AccuracyEstimate
from skyclass.monitoring.verdict import Verdict
from skyclass.promotion.local import LocalChampionStore
from skyclass.storage.s3 import ObjectStore
from tests.support.accuracy import make_labelled_window
from tests.support.monitoring import END, make_daily_verdict
from tests.support.world import ROWS

pytestmark = pytest.mark.slow

MODE = "spectroscopic"

Samples = dict[tuple[str, ...], float]


def parse(text: str) -> Samples:
    """Return every sample by name, mode, and the values of its other labels."""
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            others = [value for name, value in sorted(sample.labels.items()) if name != "mode"]
            key = (sample.name.removeprefix("skyclass_"), sample.labels["mode"], *others)
            assert key not in samples, "duplicate series"
            samples[key] = sample.value
    return samples


def read_samples(store: ObjectStore, now: datetime) -> Samples:
    client = TestClient(make_app(StateReader(store, LocalChampionStore(store)), lambda: now))
    return parse(client.get("/metrics").text)


@pytest.fixture(scope="module")
def samples(page: TestClient) -> Samples:
    return parse(page.get("/metrics").text)


def test_newest_window(samples: Samples) -> None:
    assert samples["drift_verdict", MODE, "no_drift"] == 1
    assert samples["drift_verdict", MODE, "drift"] == 0
    assert samples["drift_verdicts_of_three", MODE, "no_drift"] == 3
    assert samples["drift_window_rows", MODE] == ROWS
    assert samples["drift_window_end_timestamp_seconds", MODE] == END.timestamp()
    assert 0 < samples["drift_score", MODE, "r-i", "ks"] < 0.1
    assert 0 <= samples["drift_score", MODE, "predicted", "tvd"] < 0.07
    shares = [samples["prediction_share", MODE, name] for name in ("GALAXY", "QSO", "STAR")]
    assert sum(shares) == pytest.approx(1)
    assert samples["missing_ratio", MODE, "redshift"] == 0


def test_measured_and_estimated_accuracy(samples: Samples) -> None:
    assert samples["accuracy", MODE, "labelled"] == pytest.approx(0.96, abs=0.02)
    assert samples["accuracy", MODE, "estimated"] == pytest.approx(0.97, abs=0.02)
    assert samples["label_coverage_ratio", MODE] == 1


def test_metrics_of_the_interval(store: ObjectStore) -> None:
    estimate = AccuracyEstimate(accuracy=0.97, expected_error=0.01, lower=0.95, upper=0.98)
    for days, correct in enumerate((582, 582, 582, 500)):
        end = END - timedelta(days=days)
        save_document(store, make_labelled_window(600, correct, end, estimate=estimate))
    save_document(store, make_daily_verdict(Verdict.NO_DRIFT, "c" * 64, END))
    found = read_samples(store, END)
    assert found["accuracy_interval_coverage_ratio", MODE] == 0.75
    assert found["accuracy_interval_windows", MODE] == 4
    assert found["accuracy_estimate_bound", MODE, "lower"] == 0.95
    assert found["accuracy_estimate_bound", MODE, "upper"] == 0.98


def test_triggers_of_runs_are_counted(world: ObjectStore) -> None:
    found = read_samples(world, END - timedelta(days=6) + timedelta(hours=20))
    assert found["retrain_triggers", MODE, "drift"] == 2
    assert found["retrain_triggers", MODE, "accuracy"] == 0


def test_empty_mode_has_only_metrics_of_the_store(samples: Samples) -> None:
    names = {name for name, *labels in samples if labels[:1] == ["photometric"]}
    assert names <= {
        "accuracy_interval_windows",
        "approval_waiting_seconds",
        "log_lag_seconds",
        "monitor_readable",
        "retrain_runs",
        "retrain_triggers",
    }
    assert samples["approval_waiting_seconds", "photometric"] == 0
    assert samples["monitor_readable", "photometric"] == 1


@pytest.mark.parametrize(
    ("days_ago", "expected"), [(6, {"started": 2, "failed": 1, "promoted": 1}), (0, {})]
)
def test_runs_of_the_last_24_hours_are_counted(
    world: ObjectStore, days_ago: int, expected: dict[str, float]
) -> None:
    now = END - timedelta(days=days_ago) + timedelta(hours=20)
    samples = read_samples(world, now)
    runs = {key[2]: value for key, value in samples.items() if key[:2] == ("retrain_runs", MODE)}
    assert {outcome: value for outcome, value in runs.items() if value} == expected


def test_coverage_of_label_sets(samples: Samples) -> None:
    assert samples["label_set_promise_ratio", MODE] == 0.95
    assert 0.8 < samples["label_set_coverage_ratio", MODE] <= 1
    assert 1 <= samples["label_set_size", MODE] <= 3
    assert samples["retrain_triggers", MODE, "coverage"] == 0
