"""The drift job: what it leaves behind, and that it leaves the same again."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from skyclass.errors import MonitoringError
from skyclass.monitoring.drift import VERDICT, report_prefix, reports, run_drift
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.monitoring.windows import SEED
from skyclass.promotion.local import LocalChampionStore
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from tests.support.monitoring import END, START, log, log_rows, publish, simulated

MODE = Mode.SPECTROSCOPIC


def left(store: ObjectStore, prefix: str) -> dict[str, bytes]:
    """What lies beside a verdict, with the verdict."""
    bucket = store.settings.reports_bucket
    return {
        key.removeprefix(prefix): store.get(bucket, key) for key in store.list_keys(bucket, prefix)
    }


def test_judging_a_window_again_changes_nothing(store: ObjectStore, tmp_path: Path) -> None:
    champions = LocalChampionStore(store)
    release = publish(champions, tmp_path, simulated(Era.LEGACY, 2_000, seed=1))
    log(store, log_rows(simulated(Era.LEGACY, 1_000, seed=2), release.id))
    first = run_drift(store, champions, MODE, START, END)
    assert first.prefix == "drift/spectroscopic/20260502T000000Z/"
    written = left(store, first.prefix)
    assert written.keys() == {"report.html", "snapshot.json.gz", "verdict.json"}

    assert run_drift(store, champions, MODE, START, END) == first
    assert left(store, first.prefix) == written


def test_a_window_stays_that_of_the_release_it_was_judged_of(
    store: ObjectStore, tmp_path: Path
) -> None:
    champions = LocalChampionStore(store)
    release = publish(champions, tmp_path, simulated(Era.LEGACY, 2_000, seed=1))
    log(store, log_rows(simulated(Era.LEGACY, 600, seed=2), release.id))
    first = run_drift(store, champions, MODE, START, END)
    publish(champions, tmp_path, simulated(Era.BOSS, 2_000, seed=1))  # another champion
    assert run_drift(store, champions, MODE, START, END) == first


def test_answers_that_came_late_change_verdict_and_report(
    store: ObjectStore, tmp_path: Path
) -> None:
    champions = LocalChampionStore(store)
    release = publish(champions, tmp_path, simulated(Era.LEGACY, 2_000, seed=1))
    log(store, log_rows(simulated(Era.LEGACY, 400, seed=2), release.id))
    few = run_drift(store, champions, MODE, START, END)
    before = left(store, few.prefix)

    late = log_rows(simulated(Era.LEGACY, 600, seed=3), release.id)
    log(store, late.assign(request_id="late"))
    assert run_drift(store, champions, MODE, START, END).verdict.window_rows == 1_000
    after = left(store, few.prefix)
    assert all(after[name] != before[name] for name in ("report.html", "verdict.json"))


def test_the_verdict_is_strict_json_and_says_all_that_it_rests_on(
    store: ObjectStore, tmp_path: Path
) -> None:
    champions = LocalChampionStore(store)
    release = publish(champions, tmp_path, simulated(Era.LEGACY, 2_000, seed=1))
    log(store, log_rows(simulated(Era.BOSS, 1_000, seed=2), release.id))
    result = run_drift(store, champions, MODE, START, END)
    written = left(store, result.prefix)[VERDICT]
    assert DriftVerdict.model_validate_json(written) == result.verdict

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not strict JSON")

    verdict = json.loads(written, parse_constant=refuse)
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


def test_without_bounds_the_job_judges_the_last_whole_period(
    store: ObjectStore, tmp_path: Path
) -> None:
    champions = LocalChampionStore(store)
    publish(champions, tmp_path, simulated(Era.LEGACY, 600, seed=1))
    verdict = run_drift(store, champions, MODE, length=timedelta(hours=1)).verdict
    assert verdict.window_end - verdict.window_start == timedelta(hours=1)
    assert verdict.window_end.minute == verdict.window_end.second == 0
    assert verdict.verdict is Verdict.INSUFFICIENT_DATA


def test_only_the_champions_answers_are_judged(store: ObjectStore, tmp_path: Path) -> None:
    champions = LocalChampionStore(store)
    old = publish(champions, tmp_path, simulated(Era.LEGACY, 600, seed=1))
    log(store, log_rows(simulated(Era.BOSS, 1_000, seed=2), old.id))
    champion = publish(champions, tmp_path, simulated(Era.BOSS, 600, seed=3))
    verdict = run_drift(store, champions, MODE, START, END).verdict
    assert verdict.release == champion.id
    assert verdict.accounting.rows_in == 0


def test_nothing_served_is_one_clear_error(store: ObjectStore) -> None:
    with pytest.raises(MonitoringError, match="nothing is being served in photometric mode"):
        run_drift(store, LocalChampionStore(store), Mode.PHOTOMETRIC, START, END)


def test_reports_come_in_the_order_of_their_windows(store: ObjectStore, tmp_path: Path) -> None:
    champions = LocalChampionStore(store)
    publish(champions, tmp_path, simulated(Era.LEGACY, 600, seed=1))
    day = timedelta(days=1)
    for days in (2, 0, 1):
        run_drift(store, champions, MODE, START + days * day, END + days * day)
    assert [each.window_end for each in reports(store, MODE)] == [END, END + day, END + 2 * day]
    assert [each.window_end for each in reports(store, MODE, last=2)] == [END + day, END + 2 * day]
    assert reports(store, Mode.PHOTOMETRIC) == []


def test_a_verdict_of_another_version_is_left_out(store: ObjectStore, tmp_path: Path) -> None:
    champions = LocalChampionStore(store)
    publish(champions, tmp_path, simulated(Era.LEGACY, 600, seed=1))
    run_drift(store, champions, MODE, START, END)
    key = report_prefix(MODE, START) + VERDICT
    store.put(store.settings.reports_bucket, key, b'{"verdict": "fine"}', "application/json")
    assert [each.window_end for each in reports(store, MODE)] == [END]
