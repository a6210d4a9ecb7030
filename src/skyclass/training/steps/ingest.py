"""Step 1: bring what is new in a source into the observations table."""

from collections.abc import Callable

from skyclass.ingest.expectations import expect_few_rejected, load_expectations
from skyclass.ingest.job import Accounting, ingest
from skyclass.settings import Settings
from skyclass.sources import open_source
from skyclass.sources.remote import fetch
from skyclass.sources.skyserver.client import SkyServer
from skyclass.storage.s3 import ObjectStore
from skyclass.tables.observations import ObservationsTable
from skyclass.training.parameters import ALREADY_INGESTED


def ingest_step(
    settings: Settings, source_uri: str, progress: Callable[[int], None] = lambda rows: None
) -> Accounting:
    """Bring what is new in a source into the observations table.

    Args:
        settings: Where the table is.
        source_uri: The source, or `table:` for a run on what is there already.
        progress: Told how many rows have been read, after each batch.

    Raises:
        ValidationError: Too many rows of the source were unfit; the others were taken.
    """
    table, store = ObservationsTable(settings), ObjectStore(settings)
    if source_uri == ALREADY_INGESTED:
        return Accounting(source_uri, version=table.version())
    source = open_source(source_uri, lambda uri: fetch(uri, store), SkyServer(store).ask)
    done = ingest(source, table, store, progress)
    expect_few_rejected(done.rows_in, done.reasons, done.examples, load_expectations().rejected)
    return done
