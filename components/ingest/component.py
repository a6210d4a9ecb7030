"""Ingest new observations of a source into the observations table."""

from typing import NamedTuple

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def ingest(source_uri: str, accounting: dsl.Output[dsl.Metrics]) -> NamedTuple(
    "Ingested", table_id=str, table_version=int
):
    """Ingest new observations of a source into the observations table.

    Args:
        source_uri: URI of the source; `table:` ingests nothing.
        accounting: Number of rows by outcome.

    Returns:
        Id of the table, and its version after the ingest.
    """
    from skyclass.ingest.step import ingest_step
    from skyclass.logs import start_logging
    from skyclass.settings import load_settings
    from skyclass.tables.observations import ObservationsTable

    start_logging()
    settings = load_settings()
    done = ingest_step(settings, source_uri)
    for name in ("rows_in", "inserted", "updated", "duplicates", "rejected", "not_measured"):
        accounting.log_metric(name, getattr(done, name))
    return ObservationsTable(settings).identity(), done.version
