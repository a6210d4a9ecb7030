"""Judges the newest rows, and stops the run when they are not fit to be trained on."""

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
    data_report: dsl.Output[dsl.HTML],
    exploration: dsl.Output[dsl.HTML],
):
    """Judge the newest rows, and stop the run when they are not fit to be trained on.

    Args:
        table_id: Sets this table apart from another one at its place: KFP's cache sees no store.
        table_version: Version of the observations table.
        mode: `spectroscopic` or `photometric`.
        newest_rows: How many rows to take at most, the newest first.
        dataset: The rows, in a folder.
        training_set: Where they come from.
        data_report: Evidently's summary of all rows that were judged.
        exploration: The same rows by class and by survey era.
    """
    from pathlib import Path

    from skyclass.logs import start_logging
    from skyclass.monitoring.data_report import render_summary
    from skyclass.settings import load_settings
    from skyclass.training.exploration import Sample, explore
    from skyclass.training.parameters import parse_mode
    from skyclass.training.steps.validate import validate_step

    start_logging()

    def show(rows):
        Path(data_report.path).write_bytes(render_summary(rows))
        name = f"observations table, version {table_version}"
        Path(exploration.path).write_text(explore(Sample(name, rows, len(rows), 0)))

    arguments = (table_version, parse_mode(mode), newest_rows, Path(dataset.path))
    summary = validate_step(load_settings(), *arguments, show)
    for name in ("version", "rows", "first_mjd", "watermark", "synthetic_rows"):
        training_set.log_metric(name, getattr(summary, name))
