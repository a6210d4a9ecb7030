"""Step 2: validate the newest rows of the observations table, and select the dataset."""

import logging
from pathlib import Path

import pandas as pd

from skyclass.errors import CatalogError
from skyclass.ingest.expectations import expect_rows
from skyclass.ingest.limits import load_expectations
from skyclass.registry.manifest import TrainingSet
from skyclass.registry.releases import Registry
from skyclass.settings import Settings
from skyclass.sources.dust_map import read_dust_map
from skyclass.storage.delta_errors import VersionMissingError
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.dust import DustMap
from skyclass.survey.features import INPUTS, OPTIONAL_INPUTS, Mode, find_group_inputs
from skyclass.survey.observation import OPTIONAL_COLUMNS, ROW_COLUMNS
from skyclass.tables.observations import ObservationsTable
from skyclass.training.dataset import select_dataset
from skyclass.training.reports.exploration import SourceSample, render_exploration
from skyclass.training.selection import SAMPLE_ROWS, Selection, read_selected, select_rows

logger = logging.getLogger(__name__)


def validate_step(
    settings: Settings,
    version: int,
    mode: Mode,
    newest_rows: int,
    folder: Path,
    exploration: Path,
    sample_rows: int = SAMPLE_ROWS,
) -> TrainingSet:
    """Validate the rows of the newest nights, and write those to train on as a dataset.

    All rows of these nights are validated, or a sample of them: also rows that lack a label or an
    input and are not part of the dataset. The exploration report is written first, so that it can
    explain a failed validation.

    Args:
        settings: Where the table and the registry are.
        version: Version of the table.
        mode: Mode to train.
        newest_rows: Maximum number of rows to consider for the dataset, the newest first.
        folder: Output folder for the dataset.
        exploration: Output file for the exploration report, an HTML page.
        sample_rows: Maximum number of rows of the dataset.

    Raises:
        ValidationError: The rows violate the expectations, or the limits are malformed.
        TrainingError: There are too few rows of a class.
    """
    limits = load_expectations(settings.expectations_file)
    table = ObservationsTable(settings)
    selection = select_rows(table, version, mode, newest_rows, sample_rows)
    rows = read_selected(table, version, [*ROW_COLUMNS, *OPTIONAL_COLUMNS], selection)
    dust_map = _find_dust_map(mode)
    dataset = select_dataset(rows, table.uri, version, mode, selection, dust_map)
    name = f"observations table, version {version}{', a sample' if selection.is_sample else ''}"
    exploration.write_text(render_exploration(SourceSample(name, rows, len(rows), 0)))
    earlier = _read_earlier_rows(settings, table, mode, selection)
    expect_rows(rows, INPUTS[mode], earlier, limits)
    dataset.save(folder)
    return dataset.summary


def _find_dust_map(mode: Mode) -> DustMap | None:
    """Read the dust map, if models of the mode use the extinction and the map is installed."""
    if "extinction_r" not in OPTIONAL_INPUTS[mode]:
        return None
    try:
        return read_dust_map()
    except CatalogError as error:
        logger.warning("absent extinctions stay absent: %s", error)
        return None


def _read_earlier_rows(
    settings: Settings, table: ObservationsTable, mode: Mode, selection: Selection
) -> pd.DataFrame | None:
    """Read the rows that this run would have validated when the last release was trained.

    The rows that the release was trained on are no measure: they may be fewer than `newest_rows`.

    Returns:
        The column `mjd` and the optional inputs that the release uses, or None if there is no
        release yet, or if the table that it was trained on is gone.
    """
    releases = Registry(ObjectStore(settings)).list_releases(mode)
    if not releases:
        return None
    manifest = releases[-1].manifest
    trained_on = manifest.training_set
    optional = find_group_inputs(manifest.features)
    used = [name for name in OPTIONAL_COLUMNS if name in optional]
    message = f"rows are not compared with those of release {releases[-1].id[:12]}"
    if trained_on.table != table.uri:
        logger.warning("%s: it was trained on %s", message, trained_on.table)
        return None
    limits = (selection.newest_rows, selection.sample_rows)
    try:
        earlier = select_rows(table, trained_on.version, mode, *limits)
        rows = read_selected(table, trained_on.version, ["mjd", *used], earlier)
    except VersionMissingError as error:
        logger.warning("%s: %s", message, error)
        return None
    return rows if earlier.complete_rows else None
