"""Template variables of each page, derived from the state of a mode."""

from typing import Any

import pandas as pd

from skyclass.apps.monitor import charts
from skyclass.apps.monitor.charts import Line, Point
from skyclass.apps.monitor.messages import (
    ESTIMATE_CAVEAT,
    describe_intervals,
    explain_missing_labels,
)
from skyclass.apps.monitor.state import MAX_WINDOWS, ModeState
from skyclass.monitoring.accuracy import MeasuredAccuracy, pool_accuracy
from skyclass.monitoring.accuracy_job import WindowAccuracy
from skyclass.monitoring.coverage import LabelSetCoverage, pool_coverage
from skyclass.monitoring.drift_policy import PREDICTED
from skyclass.monitoring.estimate import AccuracyEstimate
from skyclass.monitoring.evidence import pool_comparisons, select_disjoint
from skyclass.monitoring.interval_score import is_inside, score_intervals
from skyclass.monitoring.verdict import Comparison, DriftVerdict
from skyclass.survey.features import INPUTS, Mode
from skyclass.survey.observation import CLASSES, KEY
from skyclass.tables.log.schema import PROBABILITIES
from skyclass.tables.prediction_history import ScoredDay

Variables = dict[str, Any]
"""Variables of a template."""


def make_drift_view(state: ModeState | None, windows: int) -> Variables:
    """Return the variables of the drift page."""
    view: Variables = {"windows": windows, "max_windows": MAX_WINDOWS, "charts": []}
    if state and state.newest:
        shares = state.newest.class_shares
        view["charts"] = _make_distance_charts(state.verdicts)
        view["reference_bar"] = charts.draw_class_shares("Reference", shares.reference)
        view["window_bar"] = charts.draw_class_shares("Newest window", shares.window)
    return view


def make_accuracy_view(state: ModeState | None) -> Variables:
    """Return the variables of the accuracy page."""
    view: Variables = {"missing_labels": explain_missing_labels(state)}
    if state is None or not state.accuracies:
        return view
    windows = state.accuracies
    pooled = select_disjoint(windows)
    errors = [
        window.estimate.accuracy - window.measured.accuracy
        for window in windows
        if window.estimate and window.measured
    ]
    score = score_intervals(windows)
    return view | {
        "chart": charts.draw_accuracy(
            [
                Line(
                    "estimated",
                    [_make_point(each, each.estimate) for each in windows],
                    [_get_interval(each.estimate) for each in windows],
                ),
                Line("measured", [_make_point(each, each.measured) for each in windows]),
            ],
            [f"{window.window_end:%m-%d}" for window in windows],
        ),
        "caveat": ESTIMATE_CAVEAT,
        "compared": len(errors),
        "mean_error": sum(map(abs, errors)) / len(errors) if errors else None,
        "bias": sum(errors) / len(errors) if errors else 0.0,
        "intervals": describe_intervals(score),
        "is_estimate_reliable": not score.is_poor,
        "insides": {window.window_end: is_inside(window) for window in windows},
        "holdout": state.champion.manifest.random_holdout if state.champion else None,
        "pooled": pool_accuracy(
            sum(window.answers for window in pooled),
            [window.measured for window in pooled if window.measured],
        ),
        "comparison": pool_comparisons(
            windows, state.champion.id if state.champion else "", state.parent
        ),
        "label_sets": _make_coverage_view(windows, pooled),
    }


def _make_coverage_view(
    windows: list[WindowAccuracy], disjoint: list[WindowAccuracy]
) -> Variables | None:
    """Return the variables about label sets; None if their coverage was never measured."""
    pooled = pool_coverage([each.label_sets for each in disjoint if each.label_sets])
    if pooled is None:
        return None
    points = [_make_coverage_point(each, each.label_sets) for each in windows]
    return {
        "pooled": pooled,
        "parts": {
            "Class": pooled.classes,
            "Magnitude": pooled.magnitudes,
            "Era": pooled.eras,
        },
        "chart": charts.draw_accuracy(
            [Line("measured", points)],
            [f"{window.window_end:%m-%d}" for window in windows],
            "Coverage of the label sets",
            pooled.promise,
        ),
    }


def _make_coverage_point(window: WindowAccuracy, measured: LabelSetCoverage | None) -> Point:
    if measured is None:
        return Point(None)
    text = f"{window.window_end:%Y-%m-%d %H:%M}: {measured.share:.1%} of {measured.rows:,} rows"
    return Point(measured.share, tooltip=text)


def make_prediction_rows(rows: pd.DataFrame, mode: Mode) -> list[Variables]:
    """Return the rows of the predictions page."""
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


def make_scored_rows(days: list[ScoredDay]) -> list[Variables]:
    """Return the rows of the page of scored tables, newest day first."""
    return [
        {
            "day": day.day,
            "rows": day.rows,
            "predicted": {name: day.predicted.get(name, 0) / day.rows for name in CLASSES},
            "labelled": day.labelled,
            "accuracy": day.correct / day.labelled if day.labelled else None,
        }
        for day in reversed(days)
    ]


def _make_distance_charts(verdicts: list[DriftVerdict]) -> list[Variables]:
    newest = next((verdict for verdict in reversed(verdicts) if verdict.columns), None)
    if newest is None:
        return []
    views = []
    for column in (*newest.columns, PREDICTED):
        series = [
            verdict.predictions if column == PREDICTED else verdict.columns.get(column)
            for verdict in verdicts
        ]
        threshold = next(comparison.threshold for comparison in reversed(series) if comparison)
        points = [_make_distance_point(*pair) for pair in zip(verdicts, series, strict=True)]
        last = series[-1]
        name = "predicted class" if column == PREDICTED else column
        views.append(
            {
                "name": name,
                "is_class": column == PREDICTED,
                "svg": charts.draw_distances(name, points, threshold),
                "last": last.score if last else None,
                "drifted": bool(last and last.drifted),
            }
        )
    return views


def _make_distance_point(verdict: DriftVerdict, comparison: Comparison | None) -> Point:
    if comparison is None:
        return Point(None)
    text = f"{verdict.window_end:%Y-%m-%d %H:%M}: {comparison.score:.3f}"
    suffix = ", drifted" if comparison.drifted else ""
    return Point(comparison.score, comparison.drifted, text + suffix)


def _get_interval(estimate: AccuracyEstimate | None) -> tuple[float, float] | None:
    if estimate is None or estimate.lower is None or estimate.upper is None:
        return None
    return estimate.lower, estimate.upper


def _make_point(
    window: WindowAccuracy, accuracy: AccuracyEstimate | MeasuredAccuracy | None
) -> Point:
    if accuracy is None:
        return Point(None)
    kind = "measured" if isinstance(accuracy, MeasuredAccuracy) else "estimated"
    text = f"{window.window_end:%Y-%m-%d %H:%M}: {accuracy.accuracy:.1%} {kind}"
    return Point(accuracy.accuracy, tooltip=text)
