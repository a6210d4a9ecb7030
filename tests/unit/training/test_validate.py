"""The step `validate`: the rule on eras, on a table that grows with releases trained on it."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable

from skyclass.errors import ValidationError
from skyclass.ingest.job import ingest
from skyclass.registry.manifest import TrainingSet
from skyclass.registry.releases import Registry
from skyclass.settings import Settings
from skyclass.sources import SimulatedSource
from skyclass.storage.delta_options import make_storage_options
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import FIRST_MJD, Era
from skyclass.tables.observations import ObservationsTable
from skyclass.training.steps.validate import validate_step
from tests.support.releases import draft, write_files

pytestmark = pytest.mark.slow

DEFAULT_ROWS = 100_000
RETRAINING_ROWS = 1_200


class Survey:
    """An observations table, and releases that were trained on its versions."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.table = ObservationsTable(settings)
        self._store = ObjectStore(settings)
        self._folder = folder
        self._published = 0

    def ingest(self, era: Era, rows: int, seed: int = 0) -> None:
        ingest(SimulatedSource(rows, (era,), seed), self.table, self._store)

    def validate(self, newest_rows: int, mode: Mode = Mode.SPECTROSCOPIC) -> TrainingSet:
        outputs = (self._folder / "dataset", self._folder / "exploration.html")
        return validate_step(self.settings, self.table.version(), mode, newest_rows, *outputs)

    def publish_release(self, **changes: object) -> None:
        """Publish a release that was trained on the newest version of the table."""
        training_set = TrainingSet(
            table=self.table.uri,
            version=self.table.version(),
            rows=1_000,
            first_mjd=FIRST_MJD[Era.BOSS],
            watermark=FIRST_MJD[Era.EBOSS],
            synthetic_rows=1_000,
        )
        self.publish(training_set.model_copy(update=changes))

    def publish(self, training_set: TrainingSet) -> None:
        self._published += 1
        created_at = datetime(2026, 1, self._published, tzinfo=UTC)
        manifest = draft(Mode.SPECTROSCOPIC, training_set=training_set, created_at=created_at)
        Registry(self._store).publish(manifest, write_files(self._folder / "release"))


@pytest.fixture
def survey(settings: Settings, store: ObjectStore, tmp_path: Path) -> Survey:
    return Survey(settings, tmp_path)


def test_a_retraining_on_few_rows_does_not_stop_a_run_on_all_of_them(survey: Survey) -> None:
    survey.ingest(Era.LEGACY, 4_000)
    survey.publish_release()
    survey.ingest(Era.BOSS, 1_500)
    retrained = survey.validate(RETRAINING_ROWS)
    assert retrained.first_mjd >= FIRST_MJD[Era.BOSS]
    survey.publish(retrained)
    assert survey.validate(DEFAULT_ROWS).rows > 5_000


def test_old_observations_that_outnumber_the_table_stop_the_run(survey: Survey) -> None:
    survey.ingest(Era.BOSS, 1_500)
    survey.publish_release()
    survey.ingest(Era.LEGACY, 4_000)
    with pytest.raises(ValidationError, match=r"era legacy or before, 0\.0%"):
        survey.validate(DEFAULT_ROWS)
    assert survey.validate(RETRAINING_ROWS).first_mjd >= FIRST_MJD[Era.BOSS]


def test_eras_are_not_compared_with_a_version_that_was_vacuumed(
    survey: Survey, caplog: pytest.LogCaptureFixture
) -> None:
    survey.ingest(Era.BOSS, 1_000)
    survey.ingest(Era.BOSS, 1_000, seed=1)
    survey.publish_release()
    survey.ingest(Era.LEGACY, 4_000)
    options = make_storage_options(survey.settings)
    table = DeltaTable(survey.table.uri, storage_options=options)
    table.optimize.compact()
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    with caplog.at_level(logging.WARNING):
        assert survey.validate(DEFAULT_ROWS).rows > 5_000
    assert "rows are not compared with those of release" in caplog.text


@pytest.mark.parametrize("change", [{"version": 99}, {"table": "s3://elsewhere/observations"}])
def test_eras_are_not_compared_with_another_table(
    survey: Survey, change: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    survey.ingest(Era.LEGACY, 2_000)
    survey.publish_release(**change)
    with caplog.at_level(logging.WARNING):
        survey.validate(DEFAULT_ROWS)
    assert "rows are not compared with those of release" in caplog.text
