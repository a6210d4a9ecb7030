"""Validates the newest rows, and fails if they do not meet the expectations."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def validate(
    table_id: str,
    table_version: int,
    mode: str,
    newest_rows: int,
    dataset: dsl.Output[dsl.Dataset],
    training_set: dsl.Output[dsl.Metrics],
    exploration: dsl.Output[dsl.HTML],
):
    """Validate the newest rows, and fail if they do not meet the expectations.

    Args:
        table_id: Sets this table apart from another one at its place: KFP's cache sees no store.
        table_version: Version of the observations table.
        mode: `spectroscopic` or `photometric`.
        newest_rows: How many rows to take at most, the newest first.
        dataset: The rows, in a folder.
        training_set: Where they come from.
        exploration: Statistics and distributions of the rows that were validated.
    """
    from pathlib import Path

    from skyclass.logs import start_logging
    from skyclass.settings import load_settings
    from skyclass.training.parameters import parse_mode
    from skyclass.training.steps.validate import validate_step

    start_logging()
    summary = validate_step(
        load_settings(),
        table_version,
        parse_mode(mode),
        newest_rows,
        Path(dataset.path),
        Path(exploration.path),
    )
    for name in ("version", "rows", "first_mjd", "watermark", "synthetic_rows"):
        training_set.log_metric(name, getattr(summary, name))
