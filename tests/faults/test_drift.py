"""The drift job under faults: corrupt logs, sentinels, duplicates, kills, an unreachable store."""

from pathlib import Path

import pytest

from skyclass.errors import StoreError
from skyclass.local.s3_server import EmbeddedS3
from skyclass.monitoring.documents import load_documents
from skyclass.monitoring.drift_job import run_drift
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import REPORT
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from tests.support.monitoring import (
    END,
    START,
    ExitingStore,
    draw_observations,
    make_log_rows,
    publish_reference,
    write_log_rows,
)
from tests.support.releases import draft

MODE = Mode.SPECTROSCOPIC


def test_corrupt_log_files_are_counted_and_skipped(store: ObjectStore, tmp_path: Path) -> None:
    champions = LocalChampionStore(store)
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 1_000, seed=1))
    keys = write_log_rows(
        store, make_log_rows(draw_observations(Era.LEGACY, 1_000, seed=2), release.id)
    )
    bucket = store.settings.logs_bucket
    complete = store.get(bucket, keys[0])
    for name, data in {"text": b"not parquet", "empty": b"", "truncated": complete[:-100]}.items():
        key = keys[0].rsplit("/", 1)[0] + f"/{name}.parquet"
        store.put(bucket, key, data, "application/octet-stream")
    verdict = run_drift(store, champions, MODE, START, END).verdict
    assert verdict.verdict is Verdict.NO_DRIFT
    assert verdict.accounting.unreadable_files == 3
    assert verdict.accounting.rows_used == 1_000
    assert verdict.accounting.is_balanced


def test_many_sentinels_are_a_data_quality_problem_not_drift(
    store: ObjectStore, tmp_path: Path
) -> None:
    champions = LocalChampionStore(store)
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 1_000, seed=1))
    rows = make_log_rows(draw_observations(Era.LEGACY, 1_000, seed=2), release.id)
    rows.loc[700:, ["u", "z"]] = -9999.0
    write_log_rows(store, rows)
    verdict = run_drift(store, champions, MODE, START, END).verdict
    assert verdict.verdict is Verdict.DATA_QUALITY
    assert verdict.accounting.rejected == 300
    # The valid rows are compared nevertheless, without the sentinels.
    assert not any(each.drifted for each in verdict.columns.values())


def test_retried_requests_are_counted_once(store: ObjectStore, tmp_path: Path) -> None:
    champions = LocalChampionStore(store)
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 1_000, seed=1))
    rows = make_log_rows(draw_observations(Era.LEGACY, 1_000, seed=2), release.id)
    rows = rows.assign(idempotency_key="key")
    write_log_rows(store, rows)
    once = run_drift(store, champions, MODE, START, END).verdict
    write_log_rows(store, rows.assign(prediction_id="retry"))
    twice = run_drift(store, champions, MODE, START, END).verdict
    assert twice.accounting.duplicates == 1_000
    assert twice.accounting.is_balanced
    assert twice.columns == once.columns


def test_kill_before_the_verdict_leaves_no_verdict(
    store: ObjectStore, settings: Settings, tmp_path: Path
) -> None:
    champions = LocalChampionStore(store)
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 1_000, seed=1))
    write_log_rows(store, make_log_rows(draw_observations(Era.LEGACY, 1_000, seed=2), release.id))
    with pytest.raises(SystemExit):
        run_drift(ExitingStore(settings), champions, MODE, START, END)
    assert load_documents(store, DriftVerdict, MODE) == []
    verdict = run_drift(store, champions, MODE, START, END).verdict
    assert load_documents(store, DriftVerdict, MODE) == [verdict]


def test_release_without_a_reference_gives_an_error_verdict(
    store: ObjectStore, tmp_path: Path
) -> None:
    champions = LocalChampionStore(store)
    (tmp_path / REPORT).write_bytes(b"report")
    release = champions.registry.publish(draft(MODE), {REPORT: tmp_path / REPORT})
    champions.promote(release, "a test", "test")
    write_log_rows(store, make_log_rows(draw_observations(Era.LEGACY, 1_000, seed=2), release.id))
    verdict = run_drift(store, champions, MODE, START, END).verdict
    assert verdict.verdict is Verdict.ERROR
    assert "has no file reference.parquet: train and publish a new release" in verdict.reason
    assert verdict.accounting.rows_used == 1_000
    assert load_documents(store, DriftVerdict, MODE) == [verdict]


def test_unreachable_store_is_an_error(tmp_path: Path) -> None:
    with EmbeddedS3(tmp_path) as access:
        settings = Settings(**access.environment(), s3_retries=0, s3_connect_seconds=1)
        store = ObjectStore(settings)
        store.make_buckets()
        champions = LocalChampionStore(store)
        publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 1_000, seed=1))
    with pytest.raises(StoreError, match="is unreachable"):
        run_drift(store, champions, MODE, START, END)
