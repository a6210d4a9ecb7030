"""What Prometheus is told: the newest window, the newest accuracy, the last day's runs."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from skyclass.apps.monitor.reading import Found, Reading
from skyclass.monitoring.policy import PREDICTED
from skyclass.monitoring.retraining import Action, Decision, RunState
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.survey.features import INPUTS, Mode

DAY = timedelta(days=1)

OUTCOMES = ("started", "running", "promoted", "not_promoted", "failed", "rolled_back")
"""What can come of a decision to act; `started` counts all runs, whatever came of them."""


class Gauges:
    """The gauges, each a list of samples by labels."""

    def __init__(self) -> None:
        """Begin without any."""
        self._made: dict[str, GaugeMetricFamily] = {}

    def add(self, name: str, said: str, value: float, **labels: str) -> None:
        """Add a sample."""
        full = f"skyclass_{name}"
        if full not in self._made:
            self._made[full] = GaugeMetricFamily(full, said, labels=list(labels))
        self._made[full].add_metric(list(labels.values()), value)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All of them."""
        yield from self._made.values()


def exposition(found: Mapping[Mode, Found], now: datetime) -> bytes:
    """The metrics in Prometheus' text format.

    Args:
        found: What is known of each mode.
        now: The present time.
    """
    gauges = Gauges()
    for mode, each in found.items():
        readable = float(not each.trouble)
        gauges.add("monitor_readable", "Whether the store could be read.", readable, mode=mode)
        if each.reading:
            _add(gauges, each.reading, now)
    registry = CollectorRegistry()
    registry.register(gauges)
    return generate_latest(registry)


def _add(gauges: Gauges, found: Reading, now: datetime) -> None:
    mode = str(found.mode)
    if found.champion:
        gauges.add(
            "model_info", "The champion.", 1, mode=mode, release=found.champion.id,
            candidate=found.champion.manifest.candidate,
        )  # fmt: skip
    if found.last_logged:
        lag = max(0.0, (now - found.last_logged).total_seconds())
        gauges.add("log_lag_seconds", "Since the prediction log was written to.", lag, mode=mode)
    if found.last_run:
        ran = found.last_run.timestamp()
        said = "When the drift job last wrote a verdict."
        gauges.add("drift_last_run_timestamp_seconds", said, ran, mode=mode)
    if found.newest:
        _add_window(gauges, found.newest, [each.verdict for each in found.verdicts[-3:]])
    _add_accuracy(gauges, found)
    counted = _outcomes(found.decisions, now)
    for outcome in OUTCOMES:
        said = "Training runs and rollbacks that the last 24 hours began, by outcome."
        gauges.add("retrain_runs", said, counted[outcome], mode=mode, outcome=outcome)


def _add_window(gauges: Gauges, newest: DriftVerdict, last: list[Verdict]) -> None:
    mode = str(newest.mode)
    for verdict in Verdict:
        said = "1 for the verdict of the newest window."
        gauges.add(
            "drift_verdict", said, float(newest.verdict is verdict), mode=mode, verdict=verdict
        )
        said = "How many of the last three windows have this verdict."
        gauges.add("drift_verdicts_of_three", said, last.count(verdict), mode=mode, verdict=verdict)
    compared = {**newest.columns, **({PREDICTED: newest.predictions} if newest.predictions else {})}
    for name, each in compared.items():
        said = "Distance of a column from the reference in the newest window."
        gauges.add("drift_score", said, each.score, mode=mode, column=name, method=each.method)
    said = "Rows of the newest window that were compared."
    gauges.add("drift_window_rows", said, newest.window_rows, mode=mode)
    end = newest.window_end.timestamp()
    gauges.add("drift_window_end_timestamp_seconds", "End of the newest window.", end, mode=mode)
    for name, share in newest.class_shares.window.items():
        said = "Share of a predicted class in the newest window."
        gauges.add("prediction_share", said, share, **{"mode": mode, "class": name})
    accounting = newest.accounting
    distinct = max(1, accounting.rows_used + accounting.rejected)
    for name in INPUTS[newest.mode]:
        unfit = sum(
            count for cause, count in accounting.reasons.items() if cause.startswith(f"{name} ")
        )
        said = "Share of rows without a usable value in the newest window."
        gauges.add("missing_ratio", said, unfit / distinct, mode=mode, column=name)


def _add_accuracy(gauges: Gauges, found: Reading) -> None:
    mode, said = str(found.mode), "Accuracy of the newest window where it is known."
    newest, measured = found.accuracy_of_newest, found.last_measured
    if newest and newest.estimate:
        gauges.add("accuracy", said, newest.estimate.accuracy, mode=mode, kind="estimated")
    if measured and measured.measured:
        gauges.add("accuracy", said, measured.measured.accuracy, mode=mode, kind="labelled")
        covered = "Share of answers with a label in the newest window that has some."
        gauges.add("label_coverage_ratio", covered, measured.measured.coverage, mode=mode)


def _outcomes(decisions: list[Decision], now: datetime) -> Counter[str]:
    counted: Counter[str] = Counter()
    for each in decisions:
        if now - each.decided_at >= DAY:
            continue
        if each.action is Action.ROLL_BACK:
            counted["rolled_back"] += 1
        run = each.run
        if run is None:
            continue
        counted["started"] += 1
        if run.in_flight:
            counted["running"] += 1
        elif run.state is RunState.FAILED:
            counted["failed"] += 1
        else:
            counted["promoted" if run.promoted else "not_promoted"] += 1
    return counted
