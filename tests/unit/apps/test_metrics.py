"""What Prometheus is told, read as Prometheus reads it."""

from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from skyclass.apps.monitor.app import make_app
from skyclass.apps.monitor.reading import Reader
from skyclass.promotion.local import LocalChampionStore
from skyclass.storage.s3 import ObjectStore
from tests.support.monitoring import END
from tests.support.world import ROWS

Samples = dict[tuple[str, ...], float]


def samples(text: str) -> Samples:
    """Every sample by its name, its mode, and the values of its other labels."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for each in family.samples:
            others = [value for name, value in sorted(each.labels.items()) if name != "mode"]
            key = (each.name.removeprefix("skyclass_"), each.labels["mode"], *others)
            assert key not in found, "the same series twice"
            found[key] = each.value
    return found


@pytest.fixture(scope="module")
def told(page: TestClient) -> Samples:
    return samples(page.get("/metrics").text)


MODE = "spectroscopic"


def test_the_newest_window_is_told(told: Samples) -> None:
    assert told["drift_verdict", MODE, "no_drift"] == 1
    assert told["drift_verdict", MODE, "drift"] == 0
    assert told["drift_verdicts_of_three", MODE, "no_drift"] == 3
    assert told["drift_window_rows", MODE] == ROWS
    assert told["drift_window_end_timestamp_seconds", MODE] == END.timestamp()
    assert 0 < told["drift_score", MODE, "r-i", "ks"] < 0.1
    assert 0 <= told["drift_score", MODE, "predicted", "tvd"] < 0.07
    shares = [told["prediction_share", MODE, name] for name in ("GALAXY", "QSO", "STAR")]
    assert sum(shares) == pytest.approx(1)
    assert told["missing_ratio", MODE, "redshift"] == 0


def test_accuracy_is_told_measured_and_estimated(told: Samples) -> None:
    assert told["accuracy", MODE, "labelled"] == pytest.approx(0.96, abs=0.02)
    assert told["accuracy", MODE, "estimated"] == pytest.approx(0.97, abs=0.02)
    assert told["label_coverage_ratio", MODE] == 1


def test_a_mode_without_anything_says_only_that_it_was_read(told: Samples) -> None:
    silent = {name for name, *labels in told if labels[:1] == ["photometric"]}
    assert silent <= {"monitor_readable", "retrain_runs", "log_lag_seconds"}
    assert told["monitor_readable", "photometric"] == 1


@pytest.mark.parametrize(
    ("days_ago", "outcomes"), [(6, {"started": 2, "failed": 1, "promoted": 1}), (0, {})]
)
def test_runs_are_counted_for_a_day(
    world: ObjectStore, days_ago: int, outcomes: dict[str, float]
) -> None:
    now = END - timedelta(days=days_ago) + timedelta(hours=20)
    client = TestClient(make_app(Reader(world, LocalChampionStore(world)), lambda: now))
    told = samples(client.get("/metrics").text)
    counted = {key[2]: value for key, value in told.items() if key[:2] == ("retrain_runs", MODE)}
    assert {name: value for name, value in counted.items() if value} == outcomes
