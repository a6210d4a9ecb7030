"""Drift jobs under faults: poisoned logs, bursts of sentinels, kills, a store that is gone."""

from pathlib import Path

import pytest

from skyclass.errors import StoreError
from skyclass.local.s3_server import EmbeddedS3
from skyclass.monitoring.drift import VERDICT, reports, run_drift
from skyclass.monitoring.verdict import Verdict
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import REPORT
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from tests.support.monitoring import END, START, log, log_rows, publish, simulated
from tests.support.releases import draft

MODE = Mode.SPECTROSCOPIC


class DyingStore(ObjectStore):
    """A real store whose job is killed when it is about to write the verdict."""

    def put(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        if key.endswith(VERDICT):
            raise SystemExit(137)
        super().put(bucket, key, data, content_type)


def test_poisoned_log_files_are_counted_and_cost_nothing_else(
    store: ObjectStore, tmp_path: Path
) -> None:
    champions = LocalChampionStore(store)
    release = publish(champions, tmp_path, simulated(Era.LEGACY, 1_000, seed=1))
    keys = log(store, log_rows(simulated(Era.LEGACY, 1_000, seed=2), release.id))
    bucket = store.settings.logs_bucket
    whole = store.get(bucket, keys[0])
    for name, poison in {"text": b"no parquet", "empty": b"", "torn": whole[:-100]}.items():
        key = keys[0].rsplit("/", 1)[0] + f"/{name}.parquet"
        store.put(bucket, key, poison, "application/octet-stream")
    verdict = run_drift(store, champions, MODE, START, END).verdict
    assert verdict.verdict is Verdict.NO_DRIFT
    assert verdict.accounting.unreadable_files == 3
    assert verdict.accounting.rows_used == 1_000
    assert verdict.accounting.balanced


def test_a_burst_of_sentinels_is_a_data_quality_problem_not_drift(
    store: ObjectStore, tmp_path: Path
) -> None:
    champions = LocalChampionStore(store)
    release = publish(champions, tmp_path, simulated(Era.LEGACY, 1_000, seed=1))
    rows = log_rows(simulated(Era.LEGACY, 1_000, seed=2), release.id)
    rows.loc[700:, ["u", "z"]] = -9999.0
    log(store, rows)
    verdict = run_drift(store, champions, MODE, START, END).verdict
    assert verdict.verdict is Verdict.DATA_QUALITY
    assert verdict.accounting.rejected == 300
    # The other rows are shown all the same, and the sentinels have not leaked into them.
    assert not any(each.drifted for each in verdict.columns.values())


def test_a_request_that_was_logged_twice_counts_once(store: ObjectStore, tmp_path: Path) -> None:
    champions = LocalChampionStore(store)
    release = publish(champions, tmp_path, simulated(Era.LEGACY, 1_000, seed=1))
    rows = log_rows(simulated(Era.LEGACY, 1_000, seed=2), release.id)
    log(store, rows)
    alone = run_drift(store, champions, MODE, START, END).verdict
    log(store, rows)
    twice = run_drift(store, champions, MODE, START, END).verdict
    assert twice.accounting.duplicates == 1_000
    assert twice.accounting.balanced
    assert twice.columns == alone.columns


def test_a_kill_before_the_verdict_leaves_no_verdict(
    store: ObjectStore, settings: Settings, tmp_path: Path
) -> None:
    champions = LocalChampionStore(store)
    release = publish(champions, tmp_path, simulated(Era.LEGACY, 1_000, seed=1))
    log(store, log_rows(simulated(Era.LEGACY, 1_000, seed=2), release.id))
    with pytest.raises(SystemExit):
        run_drift(DyingStore(settings), champions, MODE, START, END)
    assert reports(store, MODE) == []
    verdict = run_drift(store, champions, MODE, START, END).verdict
    assert reports(store, MODE) == [verdict]


def test_a_release_without_its_reference_is_an_error_verdict(
    store: ObjectStore, tmp_path: Path
) -> None:
    champions = LocalChampionStore(store)
    (tmp_path / REPORT).write_bytes(b"all that was published")
    release = champions.registry.publish(draft(MODE), {REPORT: tmp_path / REPORT})
    champions.promote(release, "for a test", "test")
    log(store, log_rows(simulated(Era.LEGACY, 1_000, seed=2), release.id))
    verdict = run_drift(store, champions, MODE, START, END).verdict
    assert verdict.verdict is Verdict.ERROR
    assert "has no file reference.parquet: train and publish a new release" in verdict.reason
    assert verdict.accounting.rows_used == 1_000
    assert reports(store, MODE) == [verdict]


def test_a_store_that_is_gone_is_one_clear_error(tmp_path: Path) -> None:
    with EmbeddedS3(tmp_path) as access:
        settings = Settings(**access.environment(), s3_retries=0, s3_connect_seconds=1)
        store = ObjectStore(settings)
        store.make_buckets()
        champions = LocalChampionStore(store)
        publish(champions, tmp_path, simulated(Era.LEGACY, 1_000, seed=1))
    with pytest.raises(StoreError, match="is unreachable"):
        run_drift(store, champions, MODE, START, END)
