"""Step 2: judge the newest rows of the table, and select those to train on."""

from collections.abc import Callable
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
from skyclass.training.dataset import choose


def validate_step(
    settings: Settings,
    version: int,
    mode: Mode,
    newest_rows: int,
    folder: Path,
    show: Callable[[pd.DataFrame], None] = lambda rows: None,
) -> TrainingSet:
    """Judge the rows of the newest nights, and keep those to train on as a dataset.

    All rows of these nights are judged, also those that will not take part because they lack a
    label or a measurement.

    Args:
        settings: Where the table is.
        version: The table's version.
        mode: The mode to train.
        newest_rows: How many rows to take at most, the newest first.
        folder: Where the dataset is written.
        show: Given the rows before they are judged.

    Raises:
        ValidationError: The rows are not what is expected of them.
        TrainingError: There are too few of them.
    """
    table = ObservationsTable(settings)
    candidates = table.read(version, list(ROW_COLUMNS))
    dataset = choose(candidates, table.uri, version, mode, newest_rows)
    rows = candidates[candidates["mjd"] >= dataset.summary.first_mjd].reset_index(drop=True)
    show(rows)
    expect_rows(rows, INPUTS[mode], _last_nights(settings, mode), load_expectations())
    dataset.save(folder)
    return dataset.summary


def _last_nights(settings: Settings, mode: Mode) -> "pd.Series[int] | None":
    """The nights of the last release's hold-out, which is a fair sample of what it learnt from."""
    registry = Registry(ObjectStore(settings))
    releases = registry.list_releases(mode)
    if not releases:
        return None
    return read_reference(registry.read_file(releases[-1], REFERENCE))["mjd"].dropna()
