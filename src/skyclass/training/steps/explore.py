"""Rows for the report of `skyclass eda`, read without an ingest."""

from skyclass.settings import Settings
from skyclass.sources import open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.observation import OPTIONAL_COLUMNS, ROW_COLUMNS
from skyclass.tables import OBSERVATIONS_URI
from skyclass.tables.observations import ObservationsTable
from skyclass.training.reports.exploration import SourceSample, read_sample
from skyclass.urls import normalize_scheme


def sample_step(settings: Settings, source_uri: str) -> SourceSample:
    """Sample the rows of a source.

    Args:
        settings: Settings of the object store, and the folder for downloads.
        source_uri: URI of the source. `table:` reads the observations table.
    """
    if normalize_scheme(source_uri) == OBSERVATIONS_URI:
        table = ObservationsTable(settings)
        version = table.version()
        rows = table.read(version, [*ROW_COLUMNS, *OPTIONAL_COLUMNS])
        return SourceSample(f"{table.uri}, version {version}", rows, rows_in=len(rows), rejected=0)
    return read_sample(open_source(source_uri, ObjectStore(settings)))
