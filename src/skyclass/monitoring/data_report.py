"""The data report: Evidently's summary of the rows that a model would learn from."""

import os

import pandas as pd

from skyclass.survey.observation import MEASUREMENTS

MAX_ROWS = 20_000
"""A page on more rows says the same, and is larger and slower."""


def render_summary(rows: pd.DataFrame) -> bytes:
    """Render the report.

    Args:
        rows: Columns `ROW_COLUMNS`.

    Returns:
        A self-contained page.
    """
    os.environ["DO_NOT_TRACK"] = "1"  # read by Evidently when it is imported
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataSummaryPreset

    numbers, classes = ["mjd", *MEASUREMENTS], ["class", "release"]
    sample = rows[[*numbers, *classes]]
    sample = sample.sample(min(MAX_ROWS, len(sample)), random_state=0)
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=classes)
    run = Report([DataSummaryPreset()]).run(
        Dataset.from_pandas(sample, data_definition=definition), None
    )
    page = run.get_html_str(as_iframe=False)
    title = f"skyclass: {len(rows):,} rows to learn from"
    return page.replace("<head>", f"<head><title>{title}</title>", 1).encode()
