"""Of more rows than wanted, a training run uses a sample that hardly changes as the table grows."""

import pandas as pd
import pytest

from skyclass.ingest.job import ingest
from skyclass.sources import SimulatedSource
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import KEY, ROW_COLUMNS, Era
from skyclass.tables.observations import ObservationsTable
from skyclass.training.dataset import Dataset, select_dataset
from skyclass.training.selection import Selection, draw_sample, read_selected, select_rows

MODE = Mode.SPECTROSCOPIC
ROWS = 12_000


@pytest.fixture
def version(table: ObservationsTable, store: ObjectStore) -> int:
    """A table of simulated rows of three eras."""
    return ingest(SimulatedSource(ROWS, tuple(Era), seed=3), table, store).version


def draw_dataset(
    table: ObservationsTable, version: int, sample_rows: int, newest_rows: int = ROWS
) -> Dataset:
    selection = select_rows(table, version, MODE, newest_rows, sample_rows)
    rows = read_selected(table, version, list(ROW_COLUMNS), selection)
    return select_dataset(rows, table.uri, version, MODE, selection)


def list_keys(rows: pd.DataFrame) -> set[tuple[int, ...]]:
    return set(rows[list(KEY)].itertuples(index=False, name=None))


def test_no_more_rows_than_wanted_are_all_used(table: ObservationsTable, version: int) -> None:
    dataset = draw_dataset(table, version, sample_rows=ROWS)
    assert len(dataset.rows) == pytest.approx(ROWS, abs=2)  # one in 100,000 has no u magnitude
    assert dataset.summary.sampled_from is None


def test_sample_has_the_declared_size_and_names_what_it_is_of(
    table: ObservationsTable, version: int
) -> None:
    summary = draw_dataset(table, version, sample_rows=4_000).summary
    assert summary.rows == 4_000
    assert summary.sampled_from == pytest.approx(ROWS, abs=2)
    assert summary.row_counts == f"4,000, a sample of {summary.sampled_from:,}"


def test_sample_has_the_nights_classes_and_hold_out_of_all_rows(
    table: ObservationsTable, version: int
) -> None:
    everything = draw_dataset(table, version, sample_rows=ROWS)
    sample = draw_dataset(table, version, sample_rows=4_000)
    median = everything.rows["mjd"].median()
    for expected, found in (
        ((everything.rows["mjd"] <= median).mean(), (sample.rows["mjd"] <= median).mean()),
        ((everything.labels == "QSO").mean(), (sample.labels == "QSO").mean()),
        (everything.random_holdout.mean(), sample.random_holdout.mean()),
    ):
        assert found == pytest.approx(expected, abs=0.03)
    assert sample.rows["mjd"].is_monotonic_increasing


def test_only_the_newest_rows_are_sampled(table: ObservationsTable, version: int) -> None:
    newest = draw_dataset(table, version, sample_rows=ROWS, newest_rows=3_000)
    sample = draw_dataset(table, version, sample_rows=1_000, newest_rows=3_000)
    assert sample.summary.first_mjd >= newest.summary.first_mjd


def test_sample_is_bounded_while_it_is_read(table: ObservationsTable, version: int) -> None:
    selection = select_rows(table, version, MODE, ROWS, 1_000)
    read = read_selected(table, version, list(ROW_COLUMNS), selection)
    assert 1_000 <= len(read) < 1_400


def test_added_rows_replace_few_rows_of_the_sample(
    table: ObservationsTable, store: ObjectStore, version: int
) -> None:
    before = list_keys(draw_dataset(table, version, sample_rows=4_000).rows)
    added = 600
    grown = ingest(SimulatedSource(added, tuple(Era), seed=4), table, store).version
    after = list_keys(draw_dataset(table, grown, 4_000, newest_rows=ROWS + added).rows)
    assert 0 < len(after - before) <= added * 4_000 / ROWS * 1.3


def test_sample_does_not_depend_on_the_order_of_the_rows(
    table: ObservationsTable, version: int
) -> None:
    rows = table.read(version, list(KEY))
    shuffled = rows.sample(frac=1, random_state=0)
    assert list_keys(draw_sample(shuffled, 500)) == list_keys(draw_sample(rows, 500))


def test_an_empty_table_selects_nothing(table: ObservationsTable, store: ObjectStore) -> None:
    version = ingest(SimulatedSource(30, (Era.BOSS,), seed=0), table, store).version - 1
    assert select_rows(table, version, MODE, 100, 100) == Selection(0, 0, 100, 100)
