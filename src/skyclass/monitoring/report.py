"""The drift report: Evidently's charts below a header with the verdict in words.

Evidently is imported when a report is rendered: the import takes seconds and 280 MB.
"""

import gzip
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from skyclass.monitoring.drift_policy import (
    POLICY,
    PREDICTED,
    compare_column,
    compare_numbers,
)
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.survey.observation import CLASSES

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

HEADLINES = {
    Verdict.NO_DRIFT: "No drift",
    Verdict.DRIFT: "Drift",
    Verdict.INSUFFICIENT_DATA: "Not enough data",
    Verdict.DATA_QUALITY: "Data quality problem",
    Verdict.ERROR: "Evaluation failed",
}

_TEMPLATES = Environment(
    loader=PackageLoader("skyclass.monitoring", "."), autoescape=True, undefined=StrictUndefined
)
_KS_NAME = "skyclass_ks"
_TVD_NAME = "skyclass_tvd"
_MIN_DRIFT_SHARE = 0.01
"""Share of drifted columns at which Evidently's own summary reports drift: a single column."""

_MIN_TIME_SPAN = timedelta(minutes=30)
"""Evidently bins times by minutes or more, so a short window would be a single point. Shorter
windows are plotted over the row number instead."""


@dataclass(frozen=True)
class RenderedReport:
    """A report, ready to be stored.

    Attributes:
        html: A self-contained page.
        snapshot: Evidently's run as gzipped JSON. An empty object if there were too few rows, so
            that a new report also replaces the snapshot of an earlier one.
    """

    html: bytes
    snapshot: bytes


def render(verdict: DriftVerdict, reference: pd.DataFrame, window: pd.DataFrame) -> RenderedReport:
    """Render the report of a window.

    Args:
        verdict: The verdict on the window.
        reference: Drift frame of the reference.
        window: Drift frame of the window, indexed by time.
    """
    headline = HEADLINES[verdict.verdict]
    title = f"{headline}: {verdict.mode}, until {verdict.window_end:%Y-%m-%d %H:%M} UTC"
    context = {
        "verdict": verdict,
        "title": title,
        "headline": headline,
        "classes": CLASSES,
        "min_drift_share": _MIN_DRIFT_SHARE,
    }
    if not verdict.columns:
        return _encode(_TEMPLATES.get_template("page.html.j2").render(context), "{}")
    if window.index.max() - window.index.min() < _MIN_TIME_SPAN:
        window = window.reset_index(drop=True)
    columns = [*verdict.columns, PREDICTED]
    run = _run_evidently(reference[columns], window[columns], verdict.window_end)
    header = _TEMPLATES.get_template("header.html.j2").render(context)
    page = run.get_html_str(as_iframe=False)
    page = page.replace("<head>", f"<head><title>{title}</title>", 1)
    page = page.replace("<body>", f"<body>{header}", 1)
    return _encode(page, run.dumps())


def _run_evidently(reference: pd.DataFrame, window: pd.DataFrame, end: datetime) -> "Snapshot":
    """Run Evidently on two drift frames, with the drift policy as its tests."""
    os.environ["DO_NOT_TRACK"] = "1"  # Evidently reads it on import
    from evidently import DataDefinition, Dataset, Report
    from evidently.legacy.calculations.stattests.registry import StatTest, register_stattest
    from evidently.legacy.core import ColumnType
    from evidently.presets import DataDriftPreset

    def ks(
        reference: pd.Series, current: pd.Series, kind: ColumnType, threshold: float
    ) -> tuple[float, bool]:
        comparison = compare_numbers(reference.dropna(), current.dropna())
        return comparison.score, comparison.drifted

    def tvd(
        reference: pd.Series, current: pd.Series, kind: ColumnType, threshold: float
    ) -> tuple[float, bool]:
        comparison = compare_column(str(reference.name), reference.dropna(), current.dropna())
        return comparison.score, comparison.drifted

    suffix = f"and p < {POLICY.significance}"
    numbers, classes = [ColumnType.Numerical], [ColumnType.Categorical]
    register_stattest(StatTest(_KS_NAME, f"KS distance {suffix}", numbers, POLICY.ks_distance), ks)
    register_stattest(
        StatTest(_TVD_NAME, f"Total variation {suffix}", classes, POLICY.total_variation), tvd
    )
    columns = [str(name) for name in reference.columns]
    categories = [name for name in columns if reference[name].dtype == object]
    definition = DataDefinition(
        numerical_columns=[name for name in columns if name not in categories],
        categorical_columns=categories,
    )
    report = Report(
        [
            DataDriftPreset(
                columns=columns,
                num_method=_KS_NAME,
                cat_method=_TVD_NAME,
                drift_share=_MIN_DRIFT_SHARE,
            ),
        ],
        include_tests=True,
    )
    # Evidently always correlates the columns. For a constant one, as in a window that repeats one
    # object, this is 0 / 0, of which NumPy would warn the user.
    with np.errstate(invalid="ignore"):
        return report.run(
            Dataset.from_pandas(window, data_definition=definition),
            Dataset.from_pandas(reference, data_definition=definition),
            timestamp=end,
        )


def _encode(page: str, snapshot: str) -> RenderedReport:
    # mtime=0: the same content gives the same bytes.
    return RenderedReport(page.encode(), gzip.compress(snapshot.encode(), mtime=0))
