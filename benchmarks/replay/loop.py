"""The retraining loop, one window a day."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pandas as pd

from benchmarks.replay.gate import check_gate
from benchmarks.replay.models import Model, predict, train
from skyclass.monitoring.accounting import Accounting
from skyclass.monitoring.accuracy import measure_accuracy
from skyclass.monitoring.accuracy_job import WindowAccuracy
from skyclass.monitoring.decisions import Action, Cause, Decision, Run, RunState
from skyclass.monitoring.drift_job import make_verdict
from skyclass.monitoring.drift_policy import evaluate_window, make_drift_frame
from skyclass.monitoring.estimate import AccuracyEstimate, estimate_accuracy
from skyclass.monitoring.interval_score import is_inside
from skyclass.monitoring.retraining_context import Choice, RetrainingContext
from skyclass.monitoring.retraining_policy import decide
from skyclass.monitoring.settings import NEWEST_ROWS
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.monitoring.windows import Window
from skyclass.registry.verdicts import GateVerdict
from skyclass.survey.features import Mode
from skyclass.training.parameters import PromotionPolicy

FIRST_ROWS = 3_000
WINDOW_ROWS = 1_000
DAY = timedelta(days=1)
_START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Step:
    """Results for one window.

    Attributes:
        night: Median night of the observations (MJD).
        baseline_accuracy: Accuracy of the first release, which is never replaced.
        accuracy: Accuracy of the loop's champion.
        estimate: Accuracy of the champion, estimated from its confidences without labels.
        is_inside: Whether its accuracy is inside the interval of the estimate.
        verdict: Drift verdict on the champion's predictions.
        action: Action of the retraining policy.
        cause: Its cause.
        gate: Verdict of the gate, if a run was started.
    """

    night: float
    baseline_accuracy: float
    accuracy: float
    estimate: AccuracyEstimate
    is_inside: bool
    verdict: Verdict
    action: Action
    cause: Cause
    gate: GateVerdict | None

    @property
    def is_promoted(self) -> bool:
        """Whether the run promoted a new champion, with or without an approval."""
        return self.gate is not None and self.gate.passed

    @property
    def outcome(self) -> str:
        """What the window led to, in a few words."""
        if self.gate is None:
            return f"wait ({self.cause})"
        if not self.gate.passed:
            return f"run ({self.cause}), rejected"
        return f"run ({self.cause}), promoted{' after an approval' if self.gate.reviews else ''}"


@dataclass
class _History:
    """What monitoring has stored.

    Attributes:
        verdicts: Verdicts on all windows, oldest first.
        accuracies: Accuracy of the windows whose labels have arrived.
        decisions: All decisions.
        log: Predictions of the current champion, one frame per window.
    """

    verdicts: list[DriftVerdict] = field(default_factory=list)
    accuracies: list[WindowAccuracy] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    log: list[pd.DataFrame] = field(default_factory=list)


def replay(
    rows: pd.DataFrame, mode: Mode, policy: PromotionPolicy, first_rows: int = FIRST_ROWS
) -> Iterator[Step]:
    """Yield the results of each window, in order of the nights.

    Args:
        rows: Labelled observations, ordered by night.
        mode: Mode of the releases.
        policy: What a release of the loop needs to be promoted.
        first_rows: Observations of the first training set; the windows begin after them.
    """
    baseline = champion = train(rows.head(first_rows), mode, version=0)
    history = _History()
    for number in range((len(rows) - first_rows) // WINDOW_ROWS):
        start = first_rows + number * WINDOW_ROWS
        window = rows.iloc[start : start + WINDOW_ROWS]
        now = _START + DAY * (number + 1)
        predictions = predict(champion.engine, window, mode)
        history.log.append(predictions)
        history.verdicts.append(_evaluate_window(champion, predictions, now))
        choice = _decide(history, champion, number, now)
        estimate = estimate_accuracy(champion.reference, predictions)
        if estimate is None:
            raise ValueError(f"the reference has {len(champion.reference)} rows: use more rows")
        accuracy = _measure_window(champion, predictions, estimate, now)
        gate = None
        released = champion
        if choice.action is Action.RETRAIN:
            released = train(rows.iloc[:start].tail(NEWEST_ROWS), mode, version=number)
            gate = check_gate(released, champion, history.log, policy)
        step = Step(
            night=float(window["mjd"].median()),
            baseline_accuracy=_compute_accuracy(predict(baseline.engine, window, mode)),
            accuracy=_compute_accuracy(predictions),
            estimate=estimate,
            is_inside=bool(is_inside(accuracy)),
            verdict=history.verdicts[-1].verdict,
            action=choice.action,
            cause=choice.cause,
            gate=gate,
        )
        history.accuracies.append(accuracy)  # labels arrive after the decision on the window
        history.decisions.append(_make_decision(choice, champion, released, step, number, now))
        if step.is_promoted:
            champion = released
            history.log.clear()
        yield step


def _decide(history: _History, champion: Model, version: int, now: datetime) -> Choice:
    return decide(
        RetrainingContext(
            now=now,
            champion=champion.id,
            parent=None,
            trained_on=champion.dataset.summary.version,
            table_version=version,
            verdicts=history.verdicts,
            accuracies=history.accuracies,
            decisions=history.decisions,
            holdout=champion.evaluation.random,
        )
    )


def _make_decision(
    choice: Choice, champion: Model, released: Model, step: Step, version: int, now: datetime
) -> Decision:
    run = None
    if step.gate:
        run = Run(state=RunState.SUCCEEDED, id=released.id, promoted=step.is_promoted)
    return Decision(
        mode=champion.dataset.mode,
        window_end=now,
        decided_at=now,
        champion=champion.id,
        table_version=version,
        action=choice.action,
        cause=choice.cause,
        reason=choice.reason,
        run=run,
    )


def _evaluate_window(champion: Model, predictions: pd.DataFrame, end: datetime) -> DriftVerdict:
    mode = champion.dataset.mode
    reference = make_drift_frame(champion.reference, mode)
    window = make_drift_frame(predictions, mode)
    accounting = Accounting(rows_in=len(window), rows_used=len(window))
    return make_verdict(
        Window(mode, champion.id, end - DAY, end),
        evaluate_window(reference, window, accounting),
        accounting,
        reference,
        window,
        champion.dataset.summary,
    )


def _measure_window(
    champion: Model, predictions: pd.DataFrame, estimate: AccuracyEstimate, end: datetime
) -> WindowAccuracy:
    return WindowAccuracy(
        mode=champion.dataset.mode,
        release=champion.id,
        window_start=end - DAY,
        window_end=end,
        answers=len(predictions),
        keyed=len(predictions),
        table_version=None,
        estimate=estimate,
        measured=measure_accuracy(len(predictions), predictions),
        rivalry=None,
    )


def _compute_accuracy(rows: pd.DataFrame) -> float:
    return float((rows["predicted"] == rows["class"]).mean())
