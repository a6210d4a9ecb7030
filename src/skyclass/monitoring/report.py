"""The drift report: Evidently's charts under a header that says the verdict in words.

Evidently is imported only while a report is rendered: that takes seconds and 280 MB.
"""

import gzip
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from skyclass.monitoring import policy
from skyclass.monitoring.policy import PREDICTED
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.survey.observation import CLASSES

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

HEADLINES = {
    Verdict.NO_DRIFT: "No drift",
    Verdict.DRIFT: "Drift",
    Verdict.INSUFFICIENT_DATA: "Too few rows to judge",
    Verdict.DATA_QUALITY: "Data quality problem",
    Verdict.ERROR: "The window could not be judged",
}

_TEMPLATES = Environment(
    loader=PackageLoader("skyclass.monitoring", "."), autoescape=True, undefined=StrictUndefined
)
_KS_NAME = "skyclass_ks"
_TVD_NAME = "skyclass_tvd"
_ANY_COLUMN = 0.01
"""Share of drifted columns from which Evidently's own summary speaks of drift: less than one."""

_SHORTEST_TIME_AXIS = timedelta(minutes=30)
"""Evidently draws an index of times in minutes or more, so a batch of requests would be a dot;
below this it draws the order of the rows instead."""


@dataclass(frozen=True)
class RenderedReport:
    """A report, ready to be stored.

    Attributes:
        html: A self-contained page.
        snapshot: Evidently's run as gzipped JSON: an empty object when there was too little to
            compare, so that an earlier run of the window leaves nothing that contradicts this one.
    """

    html: bytes
    snapshot: bytes


def render(verdict: DriftVerdict, reference: pd.DataFrame, window: pd.DataFrame) -> RenderedReport:
    """Render the report of a window.

    Args:
        verdict: What has been found.
        reference: The release's reference, as `drift_frame` makes it.
        window: The window's compared rows, likewise, indexed by time.
    """
    headline = HEADLINES[verdict.verdict]
    title = f"{headline}: {verdict.mode}, until {verdict.window_end:%Y-%m-%d %H:%M} UTC"
    facts = {
        "verdict": verdict,
        "title": title,
        "headline": headline,
        "classes": CLASSES,
        "any_column": _ANY_COLUMN,
    }
    if not verdict.columns:
        return _report(_TEMPLATES.get_template("page.html.j2").render(facts), "{}")
    if window.index.max() - window.index.min() < _SHORTEST_TIME_AXIS:
        window = window.reset_index(drop=True)
    run = _run_evidently(reference, window, verdict.window_end)
    header = _TEMPLATES.get_template("header.html.j2").render(facts)
    page = run.get_html_str(as_iframe=False)
    page = page.replace("<head>", f"<head><title>{title}</title>", 1)
    page = page.replace("<body>", f"<body>{header}", 1)
    return _report(page, run.dumps())


def _run_evidently(reference: pd.DataFrame, window: pd.DataFrame, end: datetime) -> "Snapshot":
    """Run Evidently on two frames that `drift_frame` made, with our rule as its tests."""
    os.environ["DO_NOT_TRACK"] = "1"  # read by Evidently when it is imported
    from evidently import DataDefinition, Dataset, Report
    from evidently.legacy.calculations.stattests.registry import StatTest, register_stattest
    from evidently.legacy.core import ColumnType
    from evidently.presets import DataDriftPreset

    def ks(
        reference: pd.Series, current: pd.Series, kind: ColumnType, threshold: float
    ) -> tuple[float, bool]:
        found = policy.compare_numbers(reference, current)
        return found.score, found.drifted

    def tvd(
        reference: pd.Series, current: pd.Series, kind: ColumnType, threshold: float
    ) -> tuple[float, bool]:
        found = policy.compare_classes(reference, current)
        return found.score, found.drifted

    also = f"and p < {policy.SIGNIFICANCE}"
    numbers, classes = [ColumnType.Numerical], [ColumnType.Categorical]
    register_stattest(StatTest(_KS_NAME, f"KS distance {also}", numbers, policy.KS_DISTANCE), ks)
    register_stattest(
        StatTest(_TVD_NAME, f"Total variation {also}", classes, policy.TOTAL_VARIATION), tvd
    )
    columns = [str(name) for name in reference.columns]
    definition = DataDefinition(
        numerical_columns=[name for name in columns if name != PREDICTED],
        categorical_columns=[PREDICTED],
    )
    report = Report(
        [
            DataDriftPreset(
                columns=columns,
                num_method=_KS_NAME,
                cat_method=_TVD_NAME,
                drift_share=_ANY_COLUMN,
            ),
        ],
        include_tests=True,
    )
    return report.run(
        Dataset.from_pandas(window, data_definition=definition),
        Dataset.from_pandas(reference, data_definition=definition),
        timestamp=end,
    )


def _report(page: str, snapshot: str) -> RenderedReport:
    # The time of writing is left out of the archive: same content, same bytes.
    return RenderedReport(page.encode(), gzip.compress(snapshot.encode(), mtime=0))
