"""The drift job: stored documents, idempotence, choice of the release."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from skyclass.errors import MonitoringError
from skyclass.maintenance.merge import merge_hour
from skyclass.monitoring.documents import load_documents, window_prefix
from skyclass.monitoring.drift_job import run_drift
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.monitoring.windows import SEED
from skyclass.promotion.local import LocalChampionStore
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from tests.support.monitoring import (
    END,
    START,
    draw_observations,
    make_log_rows,
    publish_reference,
    write_log_rows,
)

pytestmark = pytest.mark.slow

MODE = Mode.SPECTROSCOPIC
DAY = timedelta(days=1)


@pytest.fixture
def champions(store: ObjectStore) -> LocalChampionStore:
    return LocalChampionStore(store)


def read_objects(store: ObjectStore, prefix: str) -> dict[str, bytes]:
    """Return everything stored about a window."""
    bucket = store.settings.reports_bucket
    return {
        key.removeprefix(prefix): store.get(bucket, key) for key in store.list_keys(bucket, prefix)
    }


def test_second_run_on_a_window_changes_nothing(
    store: ObjectStore, champions: LocalChampionStore, tmp_path: Path
) -> None:
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 2_000, seed=1))
    write_log_rows(store, make_log_rows(draw_observations(Era.LEGACY, 1_000, seed=2), release.id))
    first = run_drift(store, champions, MODE, START, END)
    assert first.prefix == "drift/spectroscopic/20260502T000000Z/"
    objects = read_objects(store, first.prefix)
    assert objects.keys() == {
        *("report.html", "sample.parquet", "snapshot.json.gz", "verdict.json")
    }

    assert run_drift(store, champions, MODE, START, END) == first
    assert read_objects(store, first.prefix) == objects


def test_merged_log_files_change_nothing(
    store: ObjectStore, champions: LocalChampionStore, tmp_path: Path
) -> None:
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 600, seed=1))
    rows = make_log_rows(draw_observations(Era.LEGACY, 400, seed=2), release.id)
    for part in range(2):
        write_log_rows(store, rows.iloc[part::2])
    first = run_drift(store, champions, MODE, START, END)
    objects = read_objects(store, first.prefix)
    for hour in range(24):
        merge_hour(store, START + timedelta(hours=hour))
    assert run_drift(store, champions, MODE, START, END) == first
    assert read_objects(store, first.prefix) == objects


def test_window_keeps_its_release_when_the_champion_changes(
    store: ObjectStore, champions: LocalChampionStore, tmp_path: Path
) -> None:
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 600, seed=1))
    write_log_rows(store, make_log_rows(draw_observations(Era.LEGACY, 400, seed=2), release.id))
    first = run_drift(store, champions, MODE, START, END)
    publish_reference(champions, tmp_path, draw_observations(Era.BOSS, 600, seed=1))
    assert run_drift(store, champions, MODE, START, END) == first


def test_late_predictions_change_verdict_and_report(
    store: ObjectStore, champions: LocalChampionStore, tmp_path: Path
) -> None:
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 600, seed=1))
    write_log_rows(store, make_log_rows(draw_observations(Era.LEGACY, 200, seed=2), release.id))
    first = run_drift(store, champions, MODE, START, END)
    before = read_objects(store, first.prefix)

    late = make_log_rows(draw_observations(Era.LEGACY, 250, seed=3), release.id)
    write_log_rows(store, late.assign(prediction_id="late"))
    assert run_drift(store, champions, MODE, START, END).verdict.window_rows == 450
    after = read_objects(store, first.prefix)
    assert all(after[name] != before[name] for name in ("report.html", "verdict.json"))


def test_window_whose_log_has_expired_keeps_its_verdict(
    store: ObjectStore, champions: LocalChampionStore, tmp_path: Path
) -> None:
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 600, seed=1))
    write_log_rows(store, make_log_rows(draw_observations(Era.LEGACY, 400, seed=2), release.id))
    first = run_drift(store, champions, MODE, START, END)
    objects = read_objects(store, first.prefix)
    bucket = store.settings.logs_bucket
    store.delete(bucket, list(store.list_keys(bucket, "")))
    assert run_drift(store, champions, MODE, START, END) == first
    assert read_objects(store, first.prefix) == objects


def test_verdict_is_strict_json_and_complete(
    store: ObjectStore, champions: LocalChampionStore, tmp_path: Path
) -> None:
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 2_000, seed=1))
    write_log_rows(store, make_log_rows(draw_observations(Era.BOSS, 1_000, seed=2), release.id))
    result = run_drift(store, champions, MODE, START, END)
    stored = read_objects(store, result.prefix)["verdict.json"]
    assert DriftVerdict.model_validate_json(stored) == result.verdict

    def reject(constant: str) -> None:
        raise AssertionError(f"{constant} is not strict JSON")

    verdict = json.loads(stored, parse_constant=reject)
    assert verdict["verdict"] == "drift"
    assert verdict["mode"] == "spectroscopic"
    assert verdict["release"] == release.id
    assert verdict["window_start"] == "2026-05-01T00:00:00Z"
    assert verdict["window_end"] == "2026-05-02T00:00:00Z"
    assert verdict["accounting"]["rows_in"] == verdict["window_rows"] == 1_000
    assert verdict["reference_rows"] == 2_000
    assert set(verdict["columns"]["r-i"]) == {
        *("method", "score", "p_value", "threshold", "drifted")
    }
    assert verdict["predictions"]["method"] == "tvd"
    assert set(verdict["class_shares"]) == {"reference", "window"}
    assert verdict["policy"]["min_rows"] == 500
    assert verdict["seed"] == SEED
    assert verdict["synthetic_rows"] == verdict["training_rows"] == 1_000


def test_default_window_is_the_last_whole_period(
    store: ObjectStore, champions: LocalChampionStore, tmp_path: Path
) -> None:
    publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 600, seed=1))
    verdict = run_drift(store, champions, MODE, length=timedelta(hours=1)).verdict
    assert verdict.window_end - verdict.window_start == timedelta(hours=1)
    assert verdict.window_end.minute == verdict.window_end.second == 0
    assert verdict.verdict is Verdict.INSUFFICIENT_DATA


def test_only_predictions_of_the_champion_are_evaluated(
    store: ObjectStore, champions: LocalChampionStore, tmp_path: Path
) -> None:
    old = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 600, seed=1))
    write_log_rows(store, make_log_rows(draw_observations(Era.BOSS, 1_000, seed=2), old.id))
    champion = publish_reference(champions, tmp_path, draw_observations(Era.BOSS, 600, seed=3))
    verdict = run_drift(store, champions, MODE, START, END).verdict
    assert verdict.release == champion.id
    assert verdict.accounting.rows_in == 0


def test_missing_champion_is_an_error(store: ObjectStore, champions: LocalChampionStore) -> None:
    with pytest.raises(MonitoringError, match="no photometric champion: run training first"):
        run_drift(store, champions, Mode.PHOTOMETRIC, START, END)


def test_verdicts_are_loaded_in_the_order_of_their_windows(
    store: ObjectStore, champions: LocalChampionStore, tmp_path: Path
) -> None:
    publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 600, seed=1))
    for days in (2, 0, 1):
        run_drift(store, champions, MODE, START + days * DAY, END + days * DAY)

    def load_ends(last: int | None = None) -> list[int]:
        verdicts = load_documents(store, DriftVerdict, MODE, last)
        return [(verdict.window_end - END).days for verdict in verdicts]

    assert load_ends() == [0, 1, 2]
    assert load_ends(last=2) == [1, 2]
    since = load_documents(store, DriftVerdict, MODE, since=END + DAY)
    assert [verdict.window_end for verdict in since] == [END + DAY, END + 2 * DAY]
    assert load_documents(store, DriftVerdict, Mode.PHOTOMETRIC) == []


def test_verdict_of_an_incompatible_version_is_skipped(
    store: ObjectStore, champions: LocalChampionStore, tmp_path: Path
) -> None:
    publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 600, seed=1))
    run_drift(store, champions, MODE, START, END)
    key = window_prefix(MODE, START) + DriftVerdict.file_name
    store.put(store.settings.reports_bucket, key, b'{"verdict": "fine"}', "application/json")
    verdicts = load_documents(store, DriftVerdict, MODE)
    assert [verdict.window_end for verdict in verdicts] == [END]
