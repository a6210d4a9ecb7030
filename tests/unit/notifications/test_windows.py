"""Events of windows: which documents make one, and that each is reported once."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from skyclass.monitoring.decisions import Action, Cause, Decision, Run, RunState
from skyclass.monitoring.documents import WindowDocument, save_document
from skyclass.monitoring.verdict import DriftVerdict, Verdict
from skyclass.notifications.event import Kind
from skyclass.notifications.windows import find_window_events, notify_windows
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.monitoring import END, make_daily_verdict
from tests.support.web import Web

MODE = Mode.SPECTROSCOPIC
DAY = timedelta(days=1)
VERDICTS = {
    "-": Verdict.NO_DRIFT,
    "D": Verdict.DRIFT,
    "Q": Verdict.DATA_QUALITY,
    "?": Verdict.INSUFFICIENT_DATA,
}
RUN = Run(state=RunState.RUNNING, id="run-7", link="https://kfp/#/runs/details/run-7")


def make_verdicts(codes: str, end: datetime = END, release: str = "r" * 64) -> list[DriftVerdict]:
    """Verdicts on daily windows, the last of which ends at a time."""
    return [
        make_daily_verdict(VERDICTS[code], release, end - DAY * days)
        for days, code in enumerate(reversed(codes))
    ][::-1]


def make_decision(
    action: Action, run: Run | None = None, end: datetime = END, cause: Cause = Cause.DRIFT
) -> Decision:
    return Decision(
        mode=MODE,
        window_end=end,
        decided_at=end + timedelta(minutes=15),
        champion="r" * 64,
        table_version=1,
        action=action,
        cause=cause,
        reason="2 of the last 3 windows drifted",
        run=run,
    )


def link(document: WindowDocument) -> str:
    return f"https://monitor/{document.mode}/"


def find_kinds(verdicts: Sequence[DriftVerdict]) -> list[tuple[Kind, int]]:
    """Kind and window number, counted from 0, of each event."""
    ends = [verdict.window_end for verdict in verdicts]
    return [(each.kind, ends.index(each.time)) for each in find_window_events(verdicts, [], link)]


@pytest.mark.parametrize(
    ("codes", "windows"),
    [
        ("D", []),
        ("-D-", []),
        ("DD", [1]),
        ("D-D", [2]),
        ("DDDDD", [1]),  # one message as long as drift lasts
        ("DD--DD", [1, 5]),
        ("DD?D", [1]),
    ],
)
def test_lasting_drift_is_reported_when_it_begins(codes: str, windows: list[int]) -> None:
    assert find_kinds(make_verdicts(codes)) == [(Kind.DRIFT, window) for window in windows]


@pytest.mark.parametrize(("codes", "windows"), [("Q", [0]), ("-QQ", [1]), ("Q-Q", [0, 2])])
def test_data_quality_is_reported_when_it_begins(codes: str, windows: list[int]) -> None:
    assert find_kinds(make_verdicts(codes)) == [(Kind.DATA_QUALITY, each) for each in windows]


def test_drift_of_two_releases_in_one_window_each_is_not_lasting() -> None:
    verdicts = [
        *make_verdicts("D", END - DAY, release="a" * 64),
        *make_verdicts("D", END, release="b" * 64),
    ]
    assert find_kinds(verdicts) == []


@pytest.mark.parametrize(
    ("decision", "kinds", "text"),
    [
        (make_decision(Action.WAIT), [], ""),
        (make_decision(Action.RETRAIN, Run(state=RunState.STARTING)), [], ""),
        (make_decision(Action.RETRAIN, RUN), [Kind.RETRAINING], "run-7 was started: 2 of"),
        (
            make_decision(Action.RETRAIN, Run(state=RunState.FAILED, message="KFP is down")),
            [Kind.FAILED],
            "the run did not start: KFP is down",
        ),
        (
            make_decision(
                Action.RETRAIN,
                RUN.model_copy(update={"state": RunState.FAILED, "message": "step train: bad"}),
            ),
            [Kind.RETRAINING, Kind.FAILED],
            "run run-7 failed: step train: bad",
        ),
        (make_decision(Action.ROLL_BACK), [Kind.ROLLED_BACK], "2 of the last 3"),
        (
            make_decision(Action.WAIT, cause=Cause.ROLLBACK_FAILED),
            [Kind.FAILED],
            "2 of the last 3",
        ),
    ],
)
def test_decision_is_reported_with_its_reason_and_link(
    decision: Decision, kinds: list[Kind], text: str
) -> None:
    events = find_window_events([], [decision], link)
    assert [event.kind for event in events] == kinds
    if events:
        assert text in events[-1].reason
        has_link = decision.run and decision.run.link
        assert events[-1].link == (RUN.link if has_link else "https://monitor/spectroscopic/")


def test_every_event_has_an_id_of_its_own() -> None:
    failed = RUN.model_copy(update={"state": RunState.FAILED})
    decisions = [make_decision(Action.RETRAIN, failed, END + DAY * days) for days in range(3)]
    events = find_window_events(make_verdicts("DD--DDQ-Q"), decisions, link)
    assert len({event.id for event in events}) == len(events) == 10


@pytest.fixture
def webhook_is_set(webhook: Web, monkeypatch: pytest.MonkeyPatch) -> Web:
    url = f"json://{webhook.url.removeprefix('http://')}/hook"
    monkeypatch.setenv("SKYCLASS_NOTIFICATION_URLS", url)
    return webhook


def test_documents_of_a_mode_are_reported_once(store: ObjectStore, webhook_is_set: Web) -> None:
    end = datetime.now(UTC) - timedelta(hours=1)
    for document in (*make_verdicts("DD", end), make_decision(Action.RETRAIN, RUN, end)):
        save_document(store, document)
    for _ in range(2):
        notify_windows(store.settings, MODE)
    drift, started = (json.loads(body) for body in webhook_is_set.bodies)
    assert drift["title"] == "skyclass spectroscopic: drift persists"
    assert "for a test" in drift["message"]
    assert f"s3://{store.settings.reports_bucket}/drift/spectroscopic/" in drift["message"]
    assert started["title"] == "skyclass spectroscopic: retraining started"
    assert RUN.link is not None
    assert RUN.link in started["message"]


@pytest.mark.parametrize("age", [timedelta(days=4), -timedelta(hours=1)], ids=["old", "future"])
def test_old_and_unfinished_windows_are_not_reported(
    store: ObjectStore, webhook_is_set: Web, age: timedelta
) -> None:
    for document in make_verdicts("DD", datetime.now(UTC) - age):
        save_document(store, document)
    notify_windows(store.settings, MODE)
    assert webhook_is_set.requests == []


def test_run_that_fails_after_hours_is_reported_by_jobs_of_each_hour(
    store: ObjectStore, webhook_is_set: Web
) -> None:
    failed = RUN.model_copy(update={"state": RunState.FAILED, "message": "step train: bad"})
    end = datetime.now(UTC) - timedelta(hours=5)
    save_document(store, make_decision(Action.RETRAIN, failed, end))
    notify_windows(store.settings.model_copy(update={"drift_period_hours": 1}), MODE)
    (message,) = (json.loads(body) for body in webhook_is_set.bodies)
    assert message["title"] == "skyclass spectroscopic: training run or rollback failed"
