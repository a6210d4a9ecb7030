"""Step 2: validate the newest rows of the observations table, and select the dataset."""

from pathlib import Path

import pandas as pd

from skyclass.ingest.expectations import expect_rows, load_expectations
from skyclass.registry.manifest import TrainingSet
from skyclass.registry.releases import REFERENCE, Registry
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import ROW_COLUMNS
from skyclass.tables.observations import ObservationsTable
from skyclass.tables.prediction_log import read_reference
from skyclass.training.dataset import select_dataset
from skyclass.training.reports.exploration import SourceSample, render_exploration


def validate_step(
    settings: Settings, version: int, mode: Mode, newest_rows: int, folder: Path, exploration: Path
) -> TrainingSet:
    """Validate the rows of the newest nights, and write those to train on as a dataset.

    All rows of these nights are validated, including rows that lack a label or an input and are
    not part of the dataset. The exploration report is written first, so that it can explain a
    failed validation.

    Args:
        settings: Where the table and the registry are.
        version: Version of the table.
        mode: Mode to train.
        newest_rows: Maximum number of rows of the dataset, the newest first.
        folder: Output folder for the dataset.
        exploration: Output file for the exploration report, an HTML page.

    Raises:
        ValidationError: The rows violate the expectations.
        TrainingError: There are too few rows of a class.
    """
    table = ObservationsTable(settings)
    observations = table.read(version, list(ROW_COLUMNS))
    dataset = select_dataset(observations, table.uri, version, mode, newest_rows)
    newest = observations["mjd"] >= dataset.summary.first_mjd
    rows = observations[newest].reset_index(drop=True)
    name = f"observations table, version {version}"
    exploration.write_text(render_exploration(SourceSample(name, rows, len(rows), 0)))
    expect_rows(rows, INPUTS[mode], _last_release_nights(settings, mode), load_expectations())
    dataset.save(folder)
    return dataset.summary


def _last_release_nights(settings: Settings, mode: Mode) -> "pd.Series[int] | None":
    """Read the nights (MJD) of the newest release's reference, a sample of its training set."""
    registry = Registry(ObjectStore(settings))
    releases = registry.list_releases(mode)
    if not releases:
        return None
    return read_reference(registry.read_file(releases[-1], REFERENCE))["mjd"].dropna()
