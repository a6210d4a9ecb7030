"""Validate the newest rows, and fail the run if they violate the expectations."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def validate(
    table_id: str,
    table_version: int,
    mode: str,
    newest_rows: int,
    limits_id: str,
    dataset: dsl.Output[dsl.Dataset],
    exploration: dsl.Output[dsl.HTML],
):
    """Validate the newest rows, and fail the run if they violate the expectations.

    Args:
        table_id: Id of the observations table, for KFP's cache key: another store has another.
        table_version: Version of the observations table.
        mode: `spectroscopic` or `photometric`.
        newest_rows: Maximum number of rows, the newest first.
        limits_id: Id of the limits of the expectations, for KFP's cache key too.
        dataset: Folder with training rows and hold-outs.
        exploration: Statistics and distributions of the rows.
    """
    from pathlib import Path

    from skyclass.logs import start_step
    from skyclass.settings import load_settings
    from skyclass.training.parameters import parse_mode
    from skyclass.training.steps.validate import validate_step

    start_step()
    validate_step(
        load_settings(),
        table_version,
        parse_mode(mode),
        newest_rows,
        Path(dataset.path),
        Path(exploration.path),
    )
