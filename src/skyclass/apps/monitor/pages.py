"""What each page shows of a reading: no more than its template needs."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from skyclass.apps.monitor import charts
from skyclass.apps.monitor.charts import Line, Point
from skyclass.apps.monitor.reading import MOST_WINDOWS, Reading
from skyclass.apps.monitor.words import ESTIMATE_CAVEAT, labels_missing
from skyclass.monitoring.accuracy import pool
from skyclass.monitoring.policy import PREDICTED
from skyclass.monitoring.retraining import rivalry
from skyclass.monitoring.verdict import Comparison, DriftVerdict
from skyclass.scoring.history import ScoredDay
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import CLASSES, KEY
from skyclass.tables.prediction_log import PROBABILITIES

Shown = dict[str, Any]
"""What a template is given, by the names that it uses."""


def drift(found: Reading | None, windows: int) -> Shown:
    """The verdict, the scores over time, and the list of reports."""
    shown: Shown = {"windows": windows, "most_windows": MOST_WINDOWS, "charts": []}
    if found and found.newest:
        shares = found.newest.class_shares
        shown["charts"] = _score_charts(found.verdicts)
        shown["reference_bar"] = charts.shares_bar("Reference", shares.reference)
        shown["window_bar"] = charts.shares_bar("Newest window", shares.window)
    return shown


def accuracy(found: Reading | None) -> Shown:
    """What was measured, what was estimated, and how the champion compares with its parent."""
    if not found or not found.accuracies:
        return {"why_unlabelled": labels_missing(found) if found else "Nothing is known yet."}
    windows = found.accuracies
    measured = [
        Point(
            each.measured.accuracy if each.measured else None,
            label=f"{each.window_end:%Y-%m-%d %H:%M}: "
            + (f"{each.measured.accuracy:.1%} measured" if each.measured else ""),
        )
        for each in windows
    ]
    estimated = [
        Point(
            each.estimate.accuracy if each.estimate else None,
            label=f"{each.window_end:%Y-%m-%d %H:%M}: "
            + (f"{each.estimate.accuracy:.1%} estimated" if each.estimate else ""),
        )
        for each in windows
    ]
    errors = [
        each.estimate.accuracy - each.measured.accuracy
        for each in windows
        if each.estimate and each.measured
    ]
    labels = [f"{each.window_end:%m-%d}" for each in windows]
    champion = found.champion.id if found.champion else ""
    return {
        "chart": charts.accuracy_chart(
            [Line("estimated", estimated), Line("measured", measured)], labels
        ),
        "caveat": ESTIMATE_CAVEAT,
        "compared": len(errors),
        "error": sum(map(abs, errors)) / len(errors) if errors else None,
        "bias": sum(errors) / len(errors) if errors else 0.0,
        "pooled": pool(
            sum(each.answers for each in windows),
            [each.measured for each in windows if each.measured],
        ),
        "rivalry": rivalry(windows, champion, found.parent),
        "why_unlabelled": labels_missing(found),
    }


def predictions(rows: pd.DataFrame, mode: Mode) -> list[Shown]:
    """Rows of the prediction log as a table shows them."""
    return [
        {
            "time": row["time"],
            "object": (
                "-".join(str(int(row[name])) for name in KEY)
                if all(pd.notna(row[name]) for name in KEY)
                else ""
            ),
            "inputs": [row[name] if pd.notna(row[name]) else None for name in INPUTS[mode]],
            "predicted": row["predicted"],
            "probabilities": [row[name] for name in PROBABILITIES],
            "release": row["model_version"],
        }
        for row in rows.to_dict("records")
    ]


def scored(found: Reading | None, days_of: Callable[[str], list[ScoredDay]]) -> Shown:
    """What the champion predicted in batches, the newest day first."""
    days = days_of(found.champion.id) if found and found.champion else []
    shown = [
        {
            "day": each.day,
            "rows": each.rows,
            "predicted": {name: each.predicted.get(name, 0) / each.rows for name in CLASSES},
            "labelled": each.labelled,
            "accuracy": each.right / each.labelled if each.labelled else None,
        }
        for each in reversed(days)
    ]
    return {"days": shown}


def _score_charts(verdicts: list[DriftVerdict]) -> list[Shown]:
    newest = next((each for each in reversed(verdicts) if each.columns), None)
    if newest is None:
        return []
    shown = []
    for name in (*newest.columns, PREDICTED):
        series = [
            verdict.predictions if name == PREDICTED else verdict.columns.get(name)
            for verdict in verdicts
        ]
        limit = next(each.threshold for each in reversed(series) if each)
        points = [_point(verdict, each) for verdict, each in zip(verdicts, series, strict=True)]
        last = series[-1]
        title = "predicted class" if name == PREDICTED else name
        shown.append(
            {
                "name": title,
                "is_class": name == PREDICTED,
                "svg": charts.score_chart(title, points, limit),
                "last": last.score if last else None,
                "drifted": bool(last and last.drifted),
            }
        )
    return shown


def _point(verdict: DriftVerdict, found: Comparison | None) -> Point:
    if found is None:
        return Point(None)
    said = f"{verdict.window_end:%Y-%m-%d %H:%M}: {found.score:.3f}"
    return Point(found.score, found.drifted, f"{said}{', drifted' if found.drifted else ''}")
