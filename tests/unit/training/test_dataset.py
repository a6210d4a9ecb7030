"""Selection of the rows to train on, and the hold-outs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skyclass.errors import TrainingError
from skyclass.ingest.job import ingest
from skyclass.sources import open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import KEY, ROW_COLUMNS
from skyclass.tables.observations import ObservationsTable
from skyclass.training.dataset import Dataset, select_dataset
from skyclass.training.selection import SAMPLE_ROWS, read_selected, select_rows


def test_random_holdout_is_about_a_fifth(dataset: Dataset) -> None:
    assert dataset.random_holdout.mean() == pytest.approx(0.2, abs=0.03)


def test_random_holdout_is_the_same_as_in_earlier_releases(dataset: Dataset) -> None:
    keys = pd.DataFrame({"plate": [266, 266, 12_525], "mjd": [51_630, 51_630, 58_932],
                         "fiber_id": [1, 3, 171]})  # fmt: skip
    rows = dataset.rows.head(3).assign(**{name: keys[name].to_numpy() for name in keys})
    held_out = Dataset(rows, dataset.summary, dataset.mode).random_holdout
    assert held_out.tolist() == [False, True, False]


def test_random_holdout_does_not_change_as_the_table_grows(
    dataset: Dataset,
) -> None:
    grown = Dataset(
        pd.concat([dataset.rows.assign(plate=dataset.rows["plate"] + 90), dataset.rows]),
        dataset.summary,
        dataset.mode,
    )
    assert (grown.random_holdout[-len(dataset.rows) :] == dataset.random_holdout).all()


def test_temporal_holdout_is_the_newest_whole_nights(dataset: Dataset) -> None:
    nights = dataset.rows["mjd"].to_numpy()
    held_out = dataset.temporal_holdout
    assert 0 < held_out.mean() < 0.6
    assert nights[~held_out].max() < nights[held_out].min()


def test_both_modes_hold_out_the_same_objects(dataset: Dataset) -> None:
    other = Dataset(dataset.rows, dataset.summary, Mode.PHOTOMETRIC)
    assert (dataset.random_holdout == other.random_holdout).all()
    assert other.features.shape[1] == dataset.features.shape[1] - 1


def test_dataset_is_unchanged_by_save_and_load(dataset: Dataset, tmp_path: Path) -> None:
    dataset.save(tmp_path)
    loaded = Dataset.load(tmp_path, dataset.mode)
    pd.testing.assert_frame_equal(loaded.rows, dataset.rows)
    assert loaded.summary == dataset.summary


def select_from(table: ObservationsTable, version: int, mode: Mode, newest_rows: int) -> Dataset:
    selection = select_rows(table, version, mode, newest_rows, SAMPLE_ROWS)
    rows = read_selected(table, version, list(ROW_COLUMNS), selection)
    return select_dataset(rows, table.uri, version, mode, selection)


class TestSelectDataset:
    @pytest.fixture
    def version(self, table: ObservationsTable, store: ObjectStore, tmp_path: Path) -> int:
        """A table of 1,500 simulated rows of two eras, then twenty unlabelled ones."""
        source = open_source("simulated:?rows=1500&era=legacy,boss&seed=5", store)
        ingest(source, table, store)
        extra = next(
            open_source("simulated:?rows=20&era=eboss&seed=9", store).read_batches(0)
        ).rows.to_pandas()
        extra.assign(**{"class": None}).to_csv(tmp_path / "unlabelled.csv", index=False)
        return ingest(open_source(str(tmp_path / "unlabelled.csv"), store), table, store).version

    def test_selects_the_newest_labelled_rows(self, table: ObservationsTable, version: int) -> None:
        everything = select_from(table, version, Mode.PHOTOMETRIC, 10_000)
        newest = select_from(table, version, Mode.PHOTOMETRIC, 600)
        assert everything.summary.rows == 1_500
        assert newest.summary.rows == 600
        assert newest.summary.watermark == everything.summary.watermark
        assert newest.summary.first_mjd > everything.summary.first_mjd
        assert newest.summary.synthetic_rows == 600

    def test_old_table_version_has_the_old_rows(
        self, table: ObservationsTable, store: ObjectStore, version: int
    ) -> None:
        before = select_from(table, version, Mode.SPECTROSCOPIC, 10_000)
        ingest(open_source("simulated:?rows=300&era=eboss&seed=4", store), table, store)
        again = select_from(table, version, Mode.SPECTROSCOPIC, 10_000)
        pd.testing.assert_frame_equal(again.rows, before.rows)

    def test_too_few_rows_of_a_class_is_an_error(
        self, table: ObservationsTable, version: int
    ) -> None:
        with pytest.raises(TrainingError, match=r"rows of class (QSO|STAR) .*: ingest more"):
            select_from(table, version, Mode.SPECTROSCOPIC, 100)


def test_keys_are_unique(dataset: Dataset) -> None:
    assert not dataset.rows.duplicated(list(KEY)).any()
    assert np.isfinite(dataset.features).all()
