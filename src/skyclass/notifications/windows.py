"""Events that follow from the windows of a mode: from their verdicts and retraining decisions."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from skyclass.monitoring.decisions import Action, Cause, Decision, RunState
from skyclass.monitoring.documents import REPORT, WindowDocument, load_documents, window_prefix
from skyclass.monitoring.evidence import count_drifted
from skyclass.monitoring.settings import RetrainingSettings
from skyclass.monitoring.triggers import MIN_DRIFTED_WINDOWS, RECENT_WINDOWS
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.notifications.event import Event, Kind, format_time, make_id
from skyclass.notifications.notifier import notify_if_enabled
from skyclass.notifications.settings import NotificationSettings
from skyclass.settings import Settings, load
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode

MAX_AGE_PERIODS = 3
"""Events of windows and decisions that are more periods of the drift job old are not reported.
The failure of a run may be later than its decision by the longest time of a run."""

MAX_REPORTED_WINDOWS = 20
"""Number of newest windows whose events are reported."""
_MAX_WINDOWS = 200
"""Number of newest windows that are read: enough to know when drift began."""

MakeLink = Callable[[WindowDocument], str]
"""Returns where to look at a window."""


def notify_windows(settings: Settings, mode: Mode) -> None:
    """Send the messages about the newest windows of a mode. Never fails: failures are logged.

    Every event is found again by the next job, so that none is lost if a job is killed.

    Args:
        settings: Settings of the drift job.
        mode: The mode.
    """

    def find(store: ObjectStore, options: NotificationSettings) -> list[Event]:
        now = datetime.now(UTC)
        oldest = now - timedelta(hours=MAX_AGE_PERIODS * settings.drift_period_hours)
        verdicts = [
            verdict
            for verdict in load_documents(store, DriftVerdict, mode, last=_MAX_WINDOWS)
            if verdict.window_end <= now
        ]
        if verdicts:
            oldest = max(oldest, verdicts[-MAX_REPORTED_WINDOWS:][0].window_end)
        decisions = load_documents(store, Decision, mode, last=MAX_REPORTED_WINDOWS)
        events = find_window_events(verdicts, decisions, make_link_maker(settings, options))
        run_time = timedelta(hours=load(RetrainingSettings).run_hours)
        return [
            event
            for event in events
            if event.time >= (oldest - run_time if event.kind is Kind.FAILED else oldest)
        ]

    notify_if_enabled(settings, find)


def make_link_maker(settings: Settings, options: NotificationSettings) -> MakeLink:
    """Return links to the monitor page if its URL is known, else to the reports."""

    def link(document: WindowDocument) -> str:
        if options.monitor_url:
            return f"{options.monitor_url.rstrip('/')}/{document.mode}/"
        prefix = window_prefix(document.mode, document.window_end)
        return f"s3://{settings.reports_bucket}/{prefix}{REPORT}"

    return link


def find_window_events(
    verdicts: Sequence[DriftVerdict], decisions: Sequence[Decision], link: MakeLink
) -> list[Event]:
    """Return the events of a mode, as a pure function of its documents.

    Lasting drift and a data quality problem are events of the window in which they begin.

    Args:
        verdicts: Verdicts on windows that have ended, oldest first.
        decisions: Retraining decisions, oldest first.
        link: Returns where to look at a window.
    """
    return [
        *_find_drift(verdicts, link),
        *_find_data_quality(verdicts, link),
        *(event for decision in decisions for event in _find_actions(decision, link)),
    ]


def _find_drift(verdicts: Sequence[DriftVerdict], link: MakeLink) -> Iterator[Event]:
    persisting: dict[str, bool] = {}
    for number, verdict in enumerate(verdicts, start=1):
        release = verdict.release
        drifted, windows = count_drifted(verdicts[:number], release, RECENT_WINDOWS)
        began = drifted >= MIN_DRIFTED_WINDOWS and not persisting.get(release)
        persisting[release] = drifted >= MIN_DRIFTED_WINDOWS
        if began:
            reason = (
                f"{drifted} of the last {windows} windows of release {release[:12]} drifted. "
                f"Newest window: {verdict.reason}"
            )
            yield _make_event(Kind.DRIFT, verdict, reason, link)


def _find_data_quality(verdicts: Sequence[DriftVerdict], link: MakeLink) -> Iterator[Event]:
    before = None
    for verdict in verdicts:
        if verdict.verdict is Verdict.DATA_QUALITY and before is not Verdict.DATA_QUALITY:
            yield _make_event(Kind.DATA_QUALITY, verdict, verdict.reason, link)
        before = verdict.verdict


def _find_actions(decision: Decision, link: MakeLink) -> Iterator[Event]:
    """Find what a decision caused: a rollback or a run, or the failure of one."""
    run, time = decision.run, decision.decided_at
    if decision.action is Action.ROLL_BACK:
        yield _make_event(Kind.ROLLED_BACK, decision, decision.reason, link, time)
    if decision.cause is Cause.ROLLBACK_FAILED:
        yield _make_event(Kind.FAILED, decision, decision.reason, link, time, detail="rollback")
    if run is None:
        return
    if run.id:
        reason = f"run {run.id} was started: {decision.reason}"
        yield _make_event(Kind.RETRAINING, decision, reason, link, time, run.link, run.id)
    if run.state is RunState.FAILED:
        reason = f"{f'run {run.id} failed' if run.id else 'the run did not start'}: {run.message}"
        yield _make_event(Kind.FAILED, decision, reason, link, time, run.link, run.id or "start")


def _make_event(
    kind: Kind,
    document: WindowDocument,
    reason: str,
    link: MakeLink,
    time: datetime | None = None,
    run_link: str | None = None,
    detail: str = "",
) -> Event:
    parts = (kind, document.mode, format_time(document.window_end), *([detail] if detail else []))
    return Event(
        id=make_id(*parts),
        kind=kind,
        mode=document.mode,
        reason=reason,
        link=run_link or link(document),
        time=time or document.window_end,
    )
