"""The accuracy job: late labels are joined to windows that were evaluated before they arrived."""

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from skyclass.monitoring.accuracy_job import WindowAccuracy, update_accuracy
from skyclass.monitoring.documents import SAMPLE, load_documents, window_prefix
from skyclass.monitoring.drift_job import run_drift
from skyclass.monitoring.stored_sample import load_sample
from skyclass.monitoring.verdict import DriftVerdict
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import JOBLIB_MODEL, Release
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from skyclass.tables.log.schema import PROBABILITIES
from skyclass.tables.observations import ObservationsTable
from tests.support.monitoring import (
    END,
    START,
    ExitingStore,
    draw_observations,
    ingest_rows,
    make_log_rows,
    publish_reference,
    write_log_rows,
)
from tests.support.releases import draft

pytestmark = pytest.mark.slow

MODE = Mode.SPECTROSCOPIC
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def observed() -> pd.DataFrame:
    """450 observations: with fewer than 500 rows no report is rendered, which takes seconds."""
    return draw_observations(Era.LEGACY, 450, seed=2)


@pytest.fixture
def champions(store: ObjectStore) -> LocalChampionStore:
    return LocalChampionStore(store)


@pytest.fixture
def champion(
    store: ObjectStore, champions: LocalChampionStore, tmp_path: Path, observed: pd.DataFrame
) -> Release:
    """A champion with one evaluated window of 450 predictions, 150 of them wrong."""
    release = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 600, seed=1))
    rows = make_log_rows(observed, release.id)
    rows.loc[:149, "predicted"] = rows.loc[:149, "predicted"].replace(
        {"GALAXY": "STAR", "STAR": "QSO", "QSO": "GALAXY"}
    )
    write_log_rows(store, rows)
    run_drift(store, champions, MODE, START, END)
    return release


def read_document(store: ObjectStore) -> bytes:
    return store.get(store.settings.reports_bucket, window_prefix(MODE, END) + "accuracy.json")


def test_estimate_without_labels(
    store: ObjectStore, champions: LocalChampionStore, champion: Release
) -> None:
    (document,) = update_accuracy(store, champions, MODE)
    assert document.measured is None
    assert document.table_version is None
    assert document.estimate is not None
    assert (document.answers, document.keyed) == (450, 450)
    assert b'"calibration_error"' in read_document(store)
    assert load_documents(store, WindowAccuracy, MODE) == [document]


def test_late_labels_are_joined_as_they_arrive(
    store: ObjectStore,
    champions: LocalChampionStore,
    champion: Release,
    table: ObservationsTable,
    observed: pd.DataFrame,
    tmp_path: Path,
) -> None:
    update_accuracy(store, champions, MODE)
    ingest_rows(table, store, observed.head(225), tmp_path)
    (first,) = update_accuracy(store, champions, MODE)
    assert first.measured is not None
    assert (first.measured.rows, first.measured.coverage) == (225, 0.5)
    assert first.measured.accuracy == pytest.approx(1 / 3)
    ingest_rows(table, store, observed, tmp_path)
    (second,) = update_accuracy(store, champions, MODE)
    assert second.measured is not None
    assert second.measured.coverage == 1
    assert second.measured.accuracy == pytest.approx(2 / 3)
    assert load_documents(store, WindowAccuracy, MODE) == [second]


def test_document_is_unchanged_without_new_labels(
    store: ObjectStore,
    champions: LocalChampionStore,
    champion: Release,
    table: ObservationsTable,
    observed: pd.DataFrame,
    tmp_path: Path,
) -> None:
    ingest_rows(table, store, observed.head(225), tmp_path)
    assert len(update_accuracy(store, champions, MODE)) == 1
    before = read_document(store)
    assert update_accuracy(store, champions, MODE) == []
    assert read_document(store) == before


def delete_log(store: ObjectStore) -> None:
    bucket = store.settings.logs_bucket
    store.delete(bucket, list(store.list_keys(bucket, "")))


def test_log_is_not_read_again(
    store: ObjectStore, champions: LocalChampionStore, champion: Release
) -> None:
    delete_log(store)
    (document,) = update_accuracy(store, champions, MODE)
    assert (document.answers, document.keyed) == (450, 450)


@pytest.mark.parametrize("stored", [None, b"PAR1"], ids=["missing", "truncated"])
def test_window_without_a_stored_sample_is_read_from_the_log(
    stored: bytes | None,
    store: ObjectStore,
    champions: LocalChampionStore,
    champion: Release,
) -> None:
    bucket, key = store.settings.reports_bucket, window_prefix(MODE, END) + SAMPLE
    store.delete(bucket, [key])
    if stored:
        store.put(bucket, key, stored, "application/octet-stream")
    (document,) = update_accuracy(store, champions, MODE)
    assert (document.answers, document.keyed) == (450, 450)


def test_accuracy_is_kept_when_the_rows_of_its_window_have_expired(
    store: ObjectStore,
    champions: LocalChampionStore,
    champion: Release,
    table: ObservationsTable,
    observed: pd.DataFrame,
    tmp_path: Path,
) -> None:
    ingest_rows(table, store, observed.head(225), tmp_path)
    update_accuracy(store, champions, MODE)
    before = read_document(store)
    store.delete(store.settings.reports_bucket, [window_prefix(MODE, END) + SAMPLE])
    delete_log(store)
    ingest_rows(table, store, observed, tmp_path)
    assert update_accuracy(store, champions, MODE) == []
    assert read_document(store) == before


def test_sample_of_a_killed_job_is_not_used(
    store: ObjectStore,
    settings: Settings,
    champions: LocalChampionStore,
    champion: Release,
    observed: pd.DataFrame,
) -> None:
    late = make_log_rows(observed.head(40), champion.id).assign(prediction_id="late")
    write_log_rows(store, late)
    with pytest.raises(SystemExit):
        run_drift(ExitingStore(settings), champions, MODE, START, END)
    (verdict,) = load_documents(store, DriftVerdict, MODE)
    assert verdict.window_rows == 450
    assert load_sample(store, verdict) is None


def test_reevaluated_window_is_measured_again(
    store: ObjectStore, champions: LocalChampionStore, champion: Release, observed: pd.DataFrame
) -> None:
    update_accuracy(store, champions, MODE)
    late = make_log_rows(observed.head(40), champion.id).assign(prediction_id="late")
    write_log_rows(store, late)
    run_drift(store, champions, MODE, START, END)
    (document,) = update_accuracy(store, champions, MODE)
    assert document.answers == 490


def test_windows_older_than_the_label_delay_are_not_updated(
    store: ObjectStore, champions: LocalChampionStore, champion: Release
) -> None:
    run_drift(store, champions, MODE, START + 20 * DAY, END + 20 * DAY)
    documents = update_accuracy(store, champions, MODE)
    assert [document.window_end for document in documents] == [END + 20 * DAY]


def test_predictions_without_keys_are_not_labelled(
    store: ObjectStore,
    champions: LocalChampionStore,
    champion: Release,
    table: ObservationsTable,
    observed: pd.DataFrame,
    tmp_path: Path,
) -> None:
    rows = make_log_rows(observed, champion.id)
    rows = rows.assign(time=rows["time"] + DAY, plate=None, mjd=None, fiber_id=None)
    write_log_rows(store, rows)
    run_drift(store, champions, MODE, START + DAY, END + DAY)
    ingest_rows(table, store, observed, tmp_path)
    document = update_accuracy(store, champions, MODE)[-1]
    assert (document.answers, document.keyed, document.measured) == (450, 0, None)


def test_release_is_compared_with_its_parent_on_the_same_rows(
    store: ObjectStore,
    champions: LocalChampionStore,
    table: ObservationsTable,
    models_folder: Path,
    tmp_path: Path,
) -> None:
    files = {JOBLIB_MODEL: models_folder / JOBLIB_MODEL}
    parent = champions.registry.publish(draft(MODE), files)
    champions.promote(parent, "the first", "test")
    child = publish_reference(champions, tmp_path, draw_observations(Era.LEGACY, 600, seed=1))
    observed = draw_observations(Era.LEGACY, 450, seed=3)
    rows = make_log_rows(observed, child.id)
    rows[["predicted", *PROBABILITIES]] = ["STAR", 0.1, 0.1, 0.8]  # the child predicts only stars
    write_log_rows(store, rows)
    ingest_rows(table, store, observed, tmp_path)
    run_drift(store, champions, MODE, START, END)
    (document,) = update_accuracy(store, champions, MODE)
    assert document.rivalry is not None
    assert (document.rivalry.parent, document.rivalry.rows) == (parent.id, 450)
    assert document.rivalry.only_parent > 250
    assert document.rivalry.only_release < 25


def test_nothing_is_updated_without_a_window(
    store: ObjectStore, champions: LocalChampionStore
) -> None:
    assert update_accuracy(store, champions, MODE) == []
