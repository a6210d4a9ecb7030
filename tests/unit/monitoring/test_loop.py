"""The loop: acts on the decision once, records it, and looks after what it began."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from skyclass.errors import MonitoringError, SkyclassError
from skyclass.monitoring.drift import VERDICT, report_prefix
from skyclass.monitoring.loop import DECISION, ROLLBACK, close_loop, decisions
from skyclass.monitoring.measuring import ACCURACY, Rivalry, WindowAccuracy
from skyclass.monitoring.retraining import Action, Cause, Decision, Run, RunState
from skyclass.monitoring.settings import RetrainingSettings, load_retraining_settings
from skyclass.monitoring.verdict import Verdict
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import Release
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from skyclass.tables.observations import ObservationsTable
from tests.support.monitoring import END, START, observe, simulated, verdict_of
from tests.support.releases import draft, write_files

MODE = Mode.SPECTROSCOPIC
DAY = timedelta(days=1)
NOW = END + timedelta(minutes=15)
LIMITS = RetrainingSettings()


class Starter:
    """Starts runs that end as it is told."""

    def __init__(self, then: Run | SkyclassError) -> None:
        self.then = then
        self.started: list[Mapping[str, str]] = []

    def start(self, parameters: Mapping[str, str]) -> Run:
        self.started.append(parameters)
        if isinstance(self.then, SkyclassError):
            raise self.then
        return Run(state=RunState.RUNNING, id="run", link="https://kfp/run")

    def look(self, run: Run) -> Run:
        assert isinstance(self.then, Run)
        return self.then


def judged(store: ObjectStore, release: Release, *verdicts: Verdict) -> None:
    """Daily windows until END."""
    for days, each in enumerate(reversed(verdicts)):
        end = END - DAY * days
        key = report_prefix(MODE, end) + VERDICT
        data = verdict_of(each, release.id, end).to_bytes()
        store.put(store.settings.reports_bucket, key, data, "application/json")


@pytest.fixture
def champions(store: ObjectStore) -> LocalChampionStore:
    return LocalChampionStore(store)


@pytest.fixture
def champion(champions: LocalChampionStore, tmp_path: Path) -> Release:
    release = champions.registry.publish(draft(MODE), write_files(tmp_path / "champion"))
    champions.promote(release, "for a test", "test")
    return release


@pytest.fixture
def drifting(
    store: ObjectStore, champion: Release, table: ObservationsTable, tmp_path: Path
) -> Release:
    """A champion whose last windows drifted, and labels that it has not been trained on."""
    judged(store, champion, Verdict.DRIFT, Verdict.DRIFT)
    for rows in (20, 30):
        observe(table, store, simulated(Era.BOSS, rows, seed=rows), tmp_path)
    assert table.version() > champion.manifest.training_set.version
    return champion


RUNNING = Run(state=RunState.RUNNING, id="run", link="https://kfp/run")


def test_lasting_drift_starts_one_run_with_reason_and_window(
    store: ObjectStore, champions: LocalChampionStore, drifting: Release
) -> None:
    starter = Starter(RUNNING)
    made = close_loop(store, champions, MODE, starter, LIMITS, NOW)
    assert made.run == RUNNING
    (parameters,) = starter.started
    assert parameters == {
        "mode": "spectroscopic",
        "source_uri": "table:",
        "newest_rows": "5000",
        "reason": "2 of the last 2 windows drifted (the newest ended 2026-05-02 00:00 UTC)",
    }
    assert close_loop(store, champions, MODE, starter, LIMITS, NOW) == made
    assert len(starter.started) == 1
    assert decisions(store, MODE) == [made]


def test_a_decision_to_wait_is_recorded_with_its_reason(
    store: ObjectStore, champions: LocalChampionStore, champion: Release
) -> None:
    judged(store, champion, Verdict.NO_DRIFT)
    made = close_loop(store, champions, MODE, Starter(RUNNING), LIMITS, NOW)
    assert (made.action, made.cause) == (Action.WAIT, Cause.STEADY)
    assert "0 of the champion's last 1 windows drifted" in made.reason
    assert decisions(store, MODE) == [made]


def test_a_run_that_could_not_be_started_is_recorded_and_tried_again(
    store: ObjectStore, champions: LocalChampionStore, drifting: Release
) -> None:
    with pytest.raises(SkyclassError, match="no KFP answers"):
        close_loop(store, champions, MODE, Starter(SkyclassError("no KFP answers")), LIMITS, NOW)
    (failed,) = decisions(store, MODE)
    assert failed.run == Run(state=RunState.FAILED, message="no KFP answers")
    again = close_loop(store, champions, MODE, Starter(RUNNING), LIMITS, NOW + timedelta(minutes=1))
    assert again.run == RUNNING
    assert decisions(store, MODE) == [again]


def test_the_next_window_learns_what_came_of_the_run(
    store: ObjectStore, champions: LocalChampionStore, drifting: Release, tmp_path: Path
) -> None:
    close_loop(store, champions, MODE, Starter(RUNNING), LIMITS, NOW)
    better = champions.registry.publish(draft(MODE, run_id="run"), write_files(tmp_path / "better"))
    champions.promote(better, "it passed the gate", "run")
    end = END + DAY
    key = report_prefix(MODE, end) + VERDICT
    data = verdict_of(Verdict.DRIFT, better.id, end).to_bytes()
    store.put(store.settings.reports_bucket, key, data, "application/json")
    ended = Run(state=RunState.SUCCEEDED, id="run", link="https://kfp/run")
    second = close_loop(store, champions, MODE, Starter(ended), LIMITS, NOW + DAY)
    first, last = decisions(store, MODE)
    assert first.run == ended.model_copy(update={"promoted": True, "release": better.id})
    assert last == second
    assert second.cause is Cause.STEADY  # the new champion has drifted in one window only


def test_a_run_that_is_never_heard_of_again_is_given_up(
    store: ObjectStore, champions: LocalChampionStore, drifting: Release
) -> None:
    close_loop(store, champions, MODE, Starter(RUNNING), LIMITS, NOW)
    close_loop(store, champions, MODE, Starter(RUNNING), LIMITS, NOW + timedelta(hours=5))
    assert decisions(store, MODE)[0].run == RUNNING
    close_loop(store, champions, MODE, Starter(RUNNING), LIMITS, NOW + timedelta(hours=7))
    (given_up,) = decisions(store, MODE)
    assert given_up.run is not None
    assert given_up.run.state is RunState.FAILED
    assert "given up" in given_up.run.message


def test_a_job_that_is_killed_while_it_starts_a_run_starts_no_second_one(
    store: ObjectStore, champions: LocalChampionStore, drifting: Release
) -> None:
    class Killed(Starter):
        def start(self, parameters: Mapping[str, str]) -> Run:
            raise SystemExit(137)

    with pytest.raises(SystemExit):
        close_loop(store, champions, MODE, Killed(RUNNING), LIMITS, NOW)
    starter = Starter(RUNNING)
    found = close_loop(store, champions, MODE, starter, LIMITS, NOW + timedelta(minutes=10))
    assert found.run == Run(state=RunState.STARTING)
    assert starter.started == []


def test_a_release_that_its_parent_beats_is_rolled_back_once(
    store: ObjectStore, champions: LocalChampionStore, champion: Release, tmp_path: Path
) -> None:
    worse = champions.registry.publish(draft(MODE, run_id="x"), write_files(tmp_path / "worse"))
    champions.promote(worse, "it passed the gate", "x")
    judged(store, worse, Verdict.NO_DRIFT)
    found = WindowAccuracy(
        mode=MODE,
        release=worse.id,
        window_start=START,
        window_end=END,
        answers=900,
        keyed=900,
        table_version=1,
        estimate=None,
        measured=None,
        rivalry=Rivalry(parent=champion.id, rows=900, only_release=4, only_parent=80),
    )
    key = report_prefix(MODE, END) + ACCURACY
    store.put(store.settings.reports_bucket, key, found.to_bytes(), "application/json")

    made = close_loop(store, champions, MODE, Starter(RUNNING), LIMITS, NOW)
    assert made.action is Action.ROLL_BACK
    assert champions.get_champion(MODE) == champion
    event = champions.list_promotions(MODE)[-1]
    assert event.run_id == ROLLBACK
    assert event.reason.startswith("rolled back: release ")
    assert close_loop(store, champions, MODE, Starter(RUNNING), LIMITS, NOW) == made
    assert len(champions.list_promotions(MODE)) == 3

    champions.promote(worse, "somebody knows better", "by hand")
    store.put(
        store.settings.reports_bucket,
        report_prefix(MODE, END + DAY) + VERDICT,
        verdict_of(Verdict.NO_DRIFT, worse.id, END + DAY).to_bytes(),
        "application/json",
    )
    later = close_loop(store, champions, MODE, Starter(RUNNING), LIMITS, NOW + DAY)
    assert later.action is Action.WAIT
    assert champions.get_champion(MODE) == worse


def test_without_a_window_there_is_nothing_to_decide(
    store: ObjectStore, champions: LocalChampionStore, champion: Release
) -> None:
    with pytest.raises(MonitoringError, match="no spectroscopic window has been judged yet"):
        close_loop(store, champions, MODE, Starter(RUNNING), LIMITS, NOW)


def test_a_record_is_strict_json_beside_the_verdict(
    store: ObjectStore, champions: LocalChampionStore, drifting: Release
) -> None:
    made = close_loop(store, champions, MODE, Starter(RUNNING), LIMITS, NOW)
    data = store.get(store.settings.reports_bucket, report_prefix(MODE, END) + DECISION)
    assert Decision.model_validate_json(data) == made


def test_a_malformed_limit_is_named(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("SKYCLASS_RETRAINING_PER_DAY", "many")
    with pytest.raises(MonitoringError, match="setting SKYCLASS_RETRAINING_PER_DAY is malformed"):
        load_retraining_settings()
