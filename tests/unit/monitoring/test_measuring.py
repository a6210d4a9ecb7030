"""The job that brings late labels to the windows that were judged before they came."""

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from skyclass.monitoring.drift import report_prefix, run_drift
from skyclass.monitoring.measuring import ACCURACY, accuracies, measure_windows
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import JOBLIB_MODEL
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from skyclass.tables.observations import ObservationsTable
from skyclass.tables.prediction_log import PROBABILITIES
from tests.support.monitoring import (
    END,
    START,
    log,
    log_rows,
    observe,
    publish,
    simulated,
)
from tests.support.releases import draft

MODE = Mode.SPECTROSCOPIC


@pytest.fixture(scope="module")
def observed() -> pd.DataFrame:
    return simulated(Era.LEGACY, 450, seed=2)  # too few for charts, which take seconds


@pytest.fixture
def champions(store: ObjectStore, tmp_path: Path, observed: pd.DataFrame) -> LocalChampionStore:
    """A champion, whose first window of 450 answers has been judged; a third of them are wrong."""
    champions = LocalChampionStore(store)
    release = publish(champions, tmp_path, simulated(Era.LEGACY, 600, seed=1))
    rows = log_rows(observed, release.id)
    rows.loc[:149, "predicted"] = rows.loc[:149, "predicted"].replace(
        {"GALAXY": "STAR", "STAR": "QSO", "QSO": "GALAXY"}
    )
    log(store, rows)
    run_drift(store, champions, MODE, START, END)
    return champions


def written(store: ObjectStore) -> bytes:
    return store.get(store.settings.reports_bucket, report_prefix(MODE, END) + ACCURACY)


def test_before_any_label_there_is_an_estimate_and_no_measurement(
    store: ObjectStore, champions: LocalChampionStore
) -> None:
    (found,) = measure_windows(store, champions, MODE)
    assert found.measured is None
    assert found.table_version is None
    assert found.estimate is not None
    assert (found.answers, found.keyed) == (450, 450)
    assert accuracies(store, MODE) == [found]


def test_labels_that_come_late_are_joined_and_those_that_come_later_too(
    store: ObjectStore,
    champions: LocalChampionStore,
    table: ObservationsTable,
    observed: pd.DataFrame,
    tmp_path: Path,
) -> None:
    measure_windows(store, champions, MODE)
    observe(table, store, observed.head(225), tmp_path)
    (first,) = measure_windows(store, champions, MODE)
    assert first.measured is not None
    assert (first.measured.rows, first.measured.coverage) == (225, 0.5)
    assert first.measured.accuracy == pytest.approx(1 / 3)
    observe(table, store, observed, tmp_path)
    (second,) = measure_windows(store, champions, MODE)
    assert second.measured is not None
    assert second.measured.coverage == 1
    assert second.measured.accuracy == pytest.approx(2 / 3)
    assert accuracies(store, MODE) == [second]


def test_nothing_is_read_again_unless_labels_came(
    store: ObjectStore,
    champions: LocalChampionStore,
    table: ObservationsTable,
    observed: pd.DataFrame,
    tmp_path: Path,
) -> None:
    observe(table, store, observed.head(225), tmp_path)
    assert len(measure_windows(store, champions, MODE)) == 1
    before = written(store)
    assert measure_windows(store, champions, MODE) == []
    assert written(store) == before


def test_a_window_that_is_judged_anew_is_measured_anew(
    store: ObjectStore, champions: LocalChampionStore, observed: pd.DataFrame
) -> None:
    measure_windows(store, champions, MODE)
    champion = champions.get_champion(MODE)
    assert champion is not None
    late = log_rows(observed.head(50), champion.id).assign(request_id="late")
    log(store, late)
    run_drift(store, champions, MODE, START, END)
    (found,) = measure_windows(store, champions, MODE)
    assert found.answers == 500


def test_old_windows_are_left_alone(store: ObjectStore, champions: LocalChampionStore) -> None:
    later = timedelta(days=20)
    run_drift(store, champions, MODE, START + later, END + later)
    assert [each.window_end for each in measure_windows(store, champions, MODE)] == [END + later]


def test_answers_without_keys_are_counted_as_such(
    store: ObjectStore,
    champions: LocalChampionStore,
    table: ObservationsTable,
    observed: pd.DataFrame,
    tmp_path: Path,
) -> None:
    champion = champions.get_champion(MODE)
    assert champion is not None
    day = timedelta(days=1)
    rows = log_rows(observed, champion.id)
    log(store, rows.assign(time=rows["time"] + day, plate=None, mjd=None, fiber_id=None))
    run_drift(store, champions, MODE, START + day, END + day)
    observe(table, store, observed, tmp_path)
    found = measure_windows(store, champions, MODE)[-1]
    assert (found.answers, found.keyed, found.measured) == (450, 0, None)


def test_the_parent_is_asked_about_the_same_rows(
    store: ObjectStore, table: ObservationsTable, models_folder: Path, tmp_path: Path
) -> None:
    champions = LocalChampionStore(store)
    parent = champions.registry.publish(draft(MODE), {JOBLIB_MODEL: models_folder / JOBLIB_MODEL})
    champions.promote(parent, "the first", "test")
    child = publish(champions, tmp_path, simulated(Era.LEGACY, 600, seed=1))
    observed = simulated(Era.LEGACY, 450, seed=3)
    rows = log_rows(observed, child.id)
    rows[["predicted", *PROBABILITIES]] = ["STAR", 0.1, 0.1, 0.8]  # a child that went astray
    log(store, rows)
    observe(table, store, observed, tmp_path)
    run_drift(store, champions, MODE, START, END)
    (found,) = measure_windows(store, champions, MODE)
    assert found.rivalry is not None
    assert (found.rivalry.parent, found.rivalry.rows) == (parent.id, 450)
    assert found.rivalry.only_parent > 250
    assert found.rivalry.only_release < 25


def test_without_a_window_there_is_nothing_to_measure(store: ObjectStore) -> None:
    assert measure_windows(store, LocalChampionStore(store), MODE) == []
