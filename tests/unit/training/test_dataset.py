"""Which rows are trained on, and which are held out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skyclass.errors import TrainingError
from skyclass.ingest.job import ingest
from skyclass.sources import open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import KEY
from skyclass.tables.observations import ObservationsTable
from skyclass.training.dataset import Dataset, select


def test_about_a_fifth_is_held_out_at_random(dataset: Dataset) -> None:
    assert dataset.random_holdout.mean() == pytest.approx(0.2, abs=0.03)


def test_a_row_never_moves_between_training_and_holdout_as_the_table_grows(
    dataset: Dataset,
) -> None:
    grown = Dataset(
        pd.concat([dataset.rows.assign(plate=dataset.rows["plate"] + 90), dataset.rows]),
        dataset.summary,
        dataset.mode,
    )
    assert (grown.random_holdout[-len(dataset.rows) :] == dataset.random_holdout).all()


def test_the_temporal_holdout_is_the_newest_nights_whole(dataset: Dataset) -> None:
    nights = dataset.rows["mjd"].to_numpy()
    held_out = dataset.temporal_holdout
    assert 0 < held_out.mean() < 0.6
    assert nights[~held_out].max() < nights[held_out].min()


def test_both_modes_hold_out_the_same_objects(dataset: Dataset) -> None:
    other = Dataset(dataset.rows, dataset.summary, Mode.PHOTOMETRIC)
    assert (dataset.random_holdout == other.random_holdout).all()
    assert other.features.shape[1] == dataset.features.shape[1] - 1


def test_a_saved_dataset_comes_back_the_same(dataset: Dataset, tmp_path: Path) -> None:
    dataset.save(tmp_path)
    loaded = Dataset.load(tmp_path, dataset.mode)
    pd.testing.assert_frame_equal(loaded.rows, dataset.rows)
    assert loaded.summary == dataset.summary


class TestSelect:
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

    def test_takes_labelled_rows_only_and_the_newest_first(
        self, table: ObservationsTable, version: int
    ) -> None:
        everything = select(table, version, Mode.PHOTOMETRIC, 10_000)
        newest = select(table, version, Mode.PHOTOMETRIC, 600)
        assert everything.summary.rows == 1_500
        assert newest.summary.rows == 600
        assert newest.summary.watermark == everything.summary.watermark
        assert newest.summary.first_mjd > everything.summary.first_mjd
        assert newest.summary.synthetic_rows == 600

    def test_an_old_version_gives_the_old_rows(
        self, table: ObservationsTable, store: ObjectStore, version: int
    ) -> None:
        before = select(table, version, Mode.SPECTROSCOPIC, 10_000)
        ingest(open_source("simulated:?rows=300&era=eboss&seed=4", store), table, store)
        again = select(table, version, Mode.SPECTROSCOPIC, 10_000)
        pd.testing.assert_frame_equal(again.rows, before.rows)

    def test_too_few_rows_of_a_class_is_one_clear_error(
        self, table: ObservationsTable, version: int
    ) -> None:
        with pytest.raises(TrainingError, match=r"rows of class (QSO|STAR) .*: ingest more"):
            select(table, version, Mode.SPECTROSCOPIC, 100)


def test_keys_are_unique(dataset: Dataset) -> None:
    assert not dataset.rows.duplicated(list(KEY)).any()
    assert np.isfinite(dataset.features).all()
