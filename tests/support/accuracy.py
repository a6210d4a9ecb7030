"""Accuracy of releases and windows, as numbers of correct rows."""

from datetime import datetime, timedelta
from typing import Any

from skyclass.monitoring.accuracy import MeasuredAccuracy
from skyclass.monitoring.accuracy_job import WindowAccuracy
from skyclass.registry.manifest import Evaluation
from skyclass.survey.features import Mode
from tests.support.monitoring import END

CHAMPION = "c" * 64
DAY = timedelta(days=1)


def _make_confusion(rows: int, correct: int) -> tuple[tuple[int, ...], ...]:
    """Return a confusion matrix with these numbers of rows and of correct rows."""
    return ((correct, rows - correct, 0), (0, 0, 0), (0, 0, 0))


def make_holdout(rows: int = 1_000, correct: int = 970) -> Evaluation:
    """Return the metrics of a release on its random hold-out."""
    return Evaluation(
        mode=Mode.SPECTROSCOPIC,
        split="random_holdout",
        rows=rows,
        accuracy=correct / rows,
        macro_f1=0.9,
        log_loss=0.1,
        calibration_error=0.01,
        classes={},
        confusion=_make_confusion(rows, correct),
    )


def make_labelled_window(
    rows: int, correct: int, end: datetime = END, **changes: Any
) -> WindowAccuracy:
    """Return the accuracy of a day with 2,000 predictions, some of which have a label."""
    measured = MeasuredAccuracy(
        rows=rows,
        coverage=rows / 2_000,
        accuracy=correct / rows,
        recalls={},
        confusion=_make_confusion(rows, correct),
    )
    defaults: dict[str, Any] = {
        "mode": Mode.SPECTROSCOPIC,
        "release": CHAMPION,
        "window_start": end - DAY,
        "window_end": end,
        "answers": 2_000,
        "keyed": 2_000,
        "table_version": 1,
        "estimate": None,
        "measured": measured,
        "rivalry": None,
    }
    return WindowAccuracy(**{**defaults, **changes})
