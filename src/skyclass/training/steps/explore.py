"""Reads what `skyclass eda` shows, without taking it into the table."""

from skyclass.settings import Settings
from skyclass.sources import open_source
from skyclass.sources.remote import fetch
from skyclass.sources.skyserver.client import SkyServer
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.observation import ROW_COLUMNS
from skyclass.tables.observations import ObservationsTable
from skyclass.training.exploration import Sample, sample
from skyclass.training.parameters import ALREADY_INGESTED


def sample_step(settings: Settings, source_uri: str) -> Sample:
    """Read the rows of a source.

    Args:
        settings: Where the table is, and where remote files are kept.
        source_uri: The source, or `table:` for what has been ingested already.
    """
    store = ObjectStore(settings)
    if source_uri == ALREADY_INGESTED:
        table = ObservationsTable(settings)
        rows = table.read(table.version(), list(ROW_COLUMNS))
        return Sample(f"{table.uri}, version {table.version()}", rows, len(rows), 0)
    return sample(open_source(source_uri, lambda uri: fetch(uri, store), SkyServer(store).ask))
