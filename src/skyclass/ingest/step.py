"""The ingest step of the training pipeline and of `skyclass ingest`."""

from collections.abc import Callable

from skyclass.ingest.accounting import Accounting
from skyclass.ingest.expectations import expect_few_rejected
from skyclass.ingest.job import ingest
from skyclass.ingest.limits import load_expectations
from skyclass.settings import Settings
from skyclass.sources import open_source
from skyclass.storage.s3 import ObjectStore
from skyclass.tables import OBSERVATIONS_URI
from skyclass.tables.observations import ObservationsTable
from skyclass.urls import normalize_scheme


def ingest_step(
    settings: Settings, source_uri: str, progress: Callable[[int], None] = lambda rows: None
) -> Accounting:
    """Ingest the new rows of a source.

    Args:
        settings: Settings of the object store that holds the table.
        source_uri: URI of the source. `table:` ingests nothing and returns the table's version.
        progress: Called after each batch with the number of rows read so far.

    Raises:
        CatalogError: The source cannot be read.
        ValidationError: The share of rejected rows exceeds its limit, and valid rows were ingested;
            or the file with the limits is malformed, and nothing was.
    """
    limits = load_expectations(settings.expectations_file)
    table, store = ObservationsTable(settings), ObjectStore(settings)
    if normalize_scheme(source_uri) == OBSERVATIONS_URI:
        return Accounting(source_uri, version=table.version())
    done = ingest(open_source(source_uri, store), table, store, progress)
    expect_few_rejected(done.rows_in, done.reasons, done.examples, limits.rejected)
    return done
