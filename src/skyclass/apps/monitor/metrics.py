"""Prometheus metrics: newest window, newest accuracy, and training runs of the last 24 hours."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from skyclass.apps.monitor.state import ModeState, ReadResult
from skyclass.monitoring.decisions import TRIGGERS, Action, Decision, RunState
from skyclass.monitoring.drift_policy import PREDICTED
from skyclass.monitoring.interval_score import score_intervals
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.survey.features import INPUTS, Mode

DAY = timedelta(days=1)

OUTCOMES = ("started", "running", "promoted", "not_promoted", "failed", "rolled_back")
"""Outcomes of decisions to act; `started` counts all runs, whatever their state."""


class GaugeCollector:
    """A Prometheus collector of gauges; every name gets the prefix `skyclass_`."""

    def __init__(self) -> None:
        self._families: dict[str, GaugeMetricFamily] = {}

    def add(self, name: str, documentation: str, value: float, **labels: str) -> None:
        """Add a sample."""
        full = f"skyclass_{name}"
        if full not in self._families:
            self._families[full] = GaugeMetricFamily(full, documentation, labels=list(labels))
        self._families[full].add_metric(list(labels.values()), value)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield all gauges."""
        yield from self._families.values()


def render_metrics(results: Mapping[Mode, ReadResult], now: datetime) -> bytes:
    """Return the metrics in Prometheus' text format.

    Args:
        results: The state of each mode.
        now: The current time.
    """
    gauges = GaugeCollector()
    for mode, result in results.items():
        readable = float(not result.error)
        gauges.add("monitor_readable", "1 if the object store is readable.", readable, mode=mode)
        if result.state:
            _add_state(gauges, result.state, now)
    registry = CollectorRegistry()
    registry.register(gauges)
    return generate_latest(registry)


def _add_state(gauges: GaugeCollector, state: ModeState, now: datetime) -> None:
    mode = str(state.mode)
    if state.champion:
        gauges.add(
            "model_info", "The champion.", 1, mode=mode, release=state.champion.id,
            candidate=state.champion.manifest.candidate,
        )  # fmt: skip
    request = state.waiting.request if state.waiting else None
    waiting = (now - request.time).total_seconds() if request else 0.0
    text = "Time for which a release has waited for approval; 0 if none waits."
    gauges.add("approval_waiting_seconds", text, max(0.0, waiting), mode=mode)
    if state.last_logged:
        lag = max(0.0, (now - state.last_logged).total_seconds())
        text = "Time since the prediction log was last written."
        gauges.add("log_lag_seconds", text, lag, mode=mode)
    if state.last_run:
        text = "Time at which the drift job last wrote a verdict."
        gauges.add("drift_last_run_timestamp_seconds", text, state.last_run.timestamp(), mode=mode)
    if state.newest:
        _add_window(gauges, state.newest, [verdict.verdict for verdict in state.verdicts[-3:]])
    _add_accuracy(gauges, state)
    causes = Counter(
        decision.cause
        for decision in state.decisions
        if decision.run and now - decision.decided_at < DAY
    )
    for cause in TRIGGERS:
        text = "Training runs started in the last 24 hours, by trigger."
        gauges.add("retrain_triggers", text, causes[cause], mode=mode, cause=cause)
    outcomes = _count_outcomes(state.decisions, now)
    for outcome in OUTCOMES:
        text = "Training runs and rollbacks started in the last 24 hours, by outcome."
        gauges.add("retrain_runs", text, outcomes[outcome], mode=mode, outcome=outcome)


def _add_window(gauges: GaugeCollector, newest: DriftVerdict, recent: list[Verdict]) -> None:
    mode = str(newest.mode)
    for verdict in Verdict:
        text = "1 for the verdict of the newest window."
        value = float(newest.verdict is verdict)
        gauges.add("drift_verdict", text, value, mode=mode, verdict=verdict)
        text = "Number of the last three windows with this verdict."
        value = recent.count(verdict)
        gauges.add("drift_verdicts_of_three", text, value, mode=mode, verdict=verdict)
    comparisons = dict(newest.columns)
    if newest.predictions:
        comparisons[PREDICTED] = newest.predictions
    for name, comparison in comparisons.items():
        text = "Distance of a column from the reference in the newest window."
        gauges.add(
            "drift_score", text, comparison.score, mode=mode, column=name, method=comparison.method
        )
    text = "Rows of the newest window that were compared."
    gauges.add("drift_window_rows", text, newest.window_rows, mode=mode)
    end = newest.window_end.timestamp()
    gauges.add("drift_window_end_timestamp_seconds", "End of the newest window.", end, mode=mode)
    if newest.out_of_domain is not None:
        text = "Share of rows of the newest window that are out of the domain of the release."
        gauges.add("out_of_domain_ratio", text, newest.out_of_domain, mode=mode)
    for name, share in newest.class_shares.window.items():
        text = "Share of a predicted class in the newest window."
        gauges.add("prediction_share", text, share, **{"mode": mode, "class": name})
    accounting = newest.accounting
    rows = max(1, accounting.distinct_rows)
    for name in INPUTS[newest.mode]:
        invalid = sum(
            count for cause, count in accounting.reasons.items() if cause.startswith(f"{name} ")
        )
        text = "Share of rows of the newest window in which the value is missing or invalid."
        gauges.add("missing_ratio", text, invalid / rows, mode=mode, column=name)


def _add_accuracy(gauges: GaugeCollector, state: ModeState) -> None:
    mode, text = str(state.mode), "Accuracy of the newest window for which it is known."
    newest, labelled = state.newest_accuracy, state.newest_measured
    if newest and newest.estimate:
        gauges.add("accuracy", text, newest.estimate.accuracy, mode=mode, kind="estimated")
        for bound, value in (("lower", newest.estimate.lower), ("upper", newest.estimate.upper)):
            if value is not None:
                text = "End of the 95 % interval of the newest window's estimated accuracy."
                gauges.add("accuracy_estimate_bound", text, value, mode=mode, bound=bound)
    if labelled and labelled.measured:
        gauges.add("accuracy", text, labelled.measured.accuracy, mode=mode, kind="labelled")
        text = "Share of predictions with a label in the newest window with labels."
        gauges.add("label_coverage_ratio", text, labelled.measured.coverage, mode=mode)
    if labelled and labelled.label_sets:
        sets = labelled.label_sets
        text = "Share of label sets with the true class in the newest window with labels."
        gauges.add("label_set_coverage_ratio", text, sets.share, mode=mode)
        text = "Promised share of label sets with the true class."
        gauges.add("label_set_promise_ratio", text, sets.promise, mode=mode)
        text = "Mean number of classes in a label set in the newest window with labels."
        gauges.add("label_set_size", text, sets.mean_size, mode=mode)
    score = score_intervals(state.accuracies)
    text = "Windows in which the interval of the estimate was compared with labels."
    gauges.add("accuracy_interval_windows", text, score.windows, mode=mode)
    if score.coverage is not None:
        text = "Share of these windows whose measured accuracy is inside the interval."
        gauges.add("accuracy_interval_coverage_ratio", text, score.coverage, mode=mode)


def _count_outcomes(decisions: list[Decision], now: datetime) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for decision in decisions:
        if now - decision.decided_at >= DAY:
            continue
        if decision.action is Action.ROLL_BACK:
            outcomes["rolled_back"] += 1
        run = decision.run
        if run is None:
            continue
        outcomes["started"] += 1
        if run.is_active:
            outcomes["running"] += 1
        elif run.state is RunState.FAILED:
            outcomes["failed"] += 1
        else:
            outcomes["promoted" if run.promoted else "not_promoted"] += 1
    return outcomes
