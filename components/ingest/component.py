"""Check the parameters of the run, and ingest new observations of a source."""

from typing import NamedTuple

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def ingest(
    source_uri: str,
    candidates: str,
    mode: str,
    newest_rows: int,
    promotion: str,
    reason: str,
    search_seconds: int,
    seed: int,
    accounting: dsl.Output[dsl.Metrics],
) -> NamedTuple("Ingested", table_id=str, table_version=int, limits_id=str):
    """Check the parameters of the run, and ingest new observations of a source.

    Args:
        source_uri: URI of the source; `table:` ingests nothing.
        candidates: Checked here, because this is the first step; used by `train`.
        mode: Checked here, used by the other steps.
        newest_rows: Checked here, used by `validate`.
        promotion: Checked here, used by `publish`.
        reason: Checked here, used by `publish`.
        search_seconds: Checked here, used by `train`.
        seed: Checked here, used by `train` and `evaluate`.
        accounting: Number of rows by outcome.

    Returns:
        Id of the table, its version after the ingest, and the id of the limits of the expectations.
    """
    from skyclass.ingest.limits import load_expectations
    from skyclass.ingest.step import ingest_step
    from skyclass.logs import start_step
    from skyclass.settings import load_settings
    from skyclass.tables.observations import ObservationsTable
    from skyclass.training.checks import check_parameters

    start_step()
    check_parameters(candidates, mode, newest_rows, promotion, reason, search_seconds, seed)
    settings = load_settings()
    done = ingest_step(settings, source_uri)
    for name in ("rows_in", "inserted", "updated", "duplicates", "rejected", "not_measured"):
        accounting.log_metric(name, getattr(done, name))
    limits = load_expectations(settings.expectations_file)
    return ObservationsTable(settings).identity(), done.version, limits.identity
