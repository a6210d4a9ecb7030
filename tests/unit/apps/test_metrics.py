"""The metrics of the monitor, parsed by Prometheus' own parser."""

from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from skyclass.apps.monitor.app import make_app
from skyclass.apps.monitor.state import StateReader
from skyclass.promotion.local import LocalChampionStore
from skyclass.storage.s3 import ObjectStore
from tests.support.monitoring import END
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


def test_empty_mode_has_only_metrics_of_the_store(samples: Samples) -> None:
    names = {name for name, *labels in samples if labels[:1] == ["photometric"]}
    assert names <= {"monitor_readable", "retrain_runs", "log_lag_seconds"}
    assert samples["monitor_readable", "photometric"] == 1


@pytest.mark.parametrize(
    ("days_ago", "expected"), [(6, {"started": 2, "failed": 1, "promoted": 1}), (0, {})]
)
def test_runs_of_the_last_24_hours_are_counted(
    world: ObjectStore, days_ago: int, expected: dict[str, float]
) -> None:
    now = END - timedelta(days=days_ago) + timedelta(hours=20)
    client = TestClient(make_app(StateReader(world, LocalChampionStore(world)), lambda: now))
    samples = parse(client.get("/metrics").text)
    runs = {key[2]: value for key, value in samples.items() if key[:2] == ("retrain_runs", MODE)}
    assert {outcome: value for outcome, value in runs.items() if value} == expected
