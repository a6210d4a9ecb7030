"""Selects the rows to train on, and stops the run when they cannot be trained on."""

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
):
    """Select the rows to train on, and stop the run when they cannot be trained on.

    Args:
        table_id: Sets this table apart from another one at its place: KFP's cache sees no store.
        table_version: Version of the observations table.
        mode: `spectroscopic` or `photometric`.
        newest_rows: How many rows to take at most, the newest first.
        dataset: The rows, in a folder.
        training_set: Where they come from.
    """
    from pathlib import Path

    from skyclass.logs import start_logging
    from skyclass.settings import load_settings
    from skyclass.training.parameters import parse_mode
    from skyclass.training.steps.validate import validate_step

    start_logging()
    folder = Path(dataset.path)
    summary = validate_step(load_settings(), table_version, parse_mode(mode), newest_rows, folder)
    for name in ("version", "rows", "first_mjd", "watermark", "synthetic_rows"):
        training_set.log_metric(name, getattr(summary, name))
