"""The retraining loop: acts once per window, stores the decision, and follows its run."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from skyclass.errors import MonitoringError, PromotionError, ReleaseError, SkyclassError
from skyclass.monitoring.decisions import Action, Cause, Decision, Run, RunState
from skyclass.monitoring.documents import load_documents, save_document, window_prefix
from skyclass.monitoring.loop import close_loop
from skyclass.monitoring.retraining_context import AccuracyRule
from skyclass.monitoring.rollback import make_run_id
from skyclass.monitoring.settings import RetrainingSettings
from skyclass.monitoring.verdict import Verdict
from skyclass.promotion import by_hand
from skyclass.promotion.approvals import ApprovalLog
from skyclass.promotion.events import Promotion
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import Release
from skyclass.settings import Settings, load
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from skyclass.survey.observation import Era
from skyclass.tables.observations import ObservationsTable
from skyclass.training.parameters import PromotionPolicy
from tests.support.accuracy import make_holdout, make_labelled_window
from tests.support.monitoring import (
    END,
    draw_observations,
    ingest_rows,
    make_daily_verdict,
    promote_worse_release,
)
from tests.support.releases import draft, write_files

MODE = Mode.SPECTROSCOPIC
DAY = timedelta(days=1)
NOW = END + timedelta(minutes=15)
SETTINGS = RetrainingSettings()
RUNNING = Run(state=RunState.RUNNING, id="run", link="https://kfp/run")


class FakeTrainer:
    """Records the runs it starts, and returns a given run or raises a given error."""

    def __init__(self, result: Run | SkyclassError) -> None:
        self.result = result
        self.started: list[Mapping[str, str]] = []
        self.names: list[str] = []

    def start(self, name: str, parameters: Mapping[str, str]) -> Run:
        if isinstance(self.result, SkyclassError):
            raise self.result
        self.names.append(name)
        self.started.append(parameters)
        return RUNNING

    def find(self, name: str) -> Run | None:
        return RUNNING if name in self.names else None

    def refresh(self, run: Run) -> Run:
        assert isinstance(self.result, Run)
        return self.result


def save_verdicts(store: ObjectStore, release: Release, *verdicts: Verdict) -> None:
    """Store verdicts on daily windows, the last of which ends at END."""
    for days, verdict in enumerate(reversed(verdicts)):
        save_document(store, make_daily_verdict(verdict, release.id, END - DAY * days))


@pytest.fixture
def champions(store: ObjectStore) -> LocalChampionStore:
    return LocalChampionStore(store)


@pytest.fixture
def champion(champions: LocalChampionStore, tmp_path: Path) -> Release:
    release = champions.registry.publish(draft(MODE), write_files(tmp_path / "champion"))
    champions.promote(release, "for a test", "test")
    return release


@pytest.fixture
def drifted_champion(
    store: ObjectStore, champion: Release, table: ObservationsTable, tmp_path: Path
) -> Release:
    """A champion whose last two windows drifted, with labels newer than its training set."""
    save_verdicts(store, champion, Verdict.DRIFT, Verdict.DRIFT)
    for rows in (20, 30):
        ingest_rows(table, store, draw_observations(Era.BOSS, rows, seed=rows), tmp_path)
    assert table.version() > champion.manifest.training_set.version
    return champion


def test_persistent_drift_starts_one_run(
    store: ObjectStore, champions: LocalChampionStore, drifted_champion: Release
) -> None:
    trainer = FakeTrainer(RUNNING)
    made = close_loop(store, champions, MODE, trainer, SETTINGS, NOW)
    assert made.run == RUNNING
    (parameters,) = trainer.started
    assert parameters == {
        "mode": "spectroscopic",
        "source_uri": "table:",
        "newest_rows": "5000",
        "promotion": "if_not_worse",
        "reason": "2 of the last 2 windows drifted (the newest ended 2026-05-02 00:00 UTC)",
    }
    assert close_loop(store, champions, MODE, trainer, SETTINGS, NOW) == made
    assert len(trainer.started) == 1
    assert load_documents(store, Decision, MODE) == [made]


def test_fallen_accuracy_without_drift_starts_one_run(
    store: ObjectStore, champions: LocalChampionStore, table: ObservationsTable, tmp_path: Path
) -> None:
    manifest = draft(MODE, metrics={"random_holdout": make_holdout()})
    release = champions.registry.publish(manifest, write_files(tmp_path / "champion"))
    champions.promote(release, "for a test", "test")
    save_verdicts(store, release, Verdict.NO_DRIFT)
    save_document(store, make_labelled_window(1_200, 1_000, release=release.id))
    for rows in (20, 30):
        ingest_rows(table, store, draw_observations(Era.BOSS, rows, seed=rows), tmp_path)
    trainer = FakeTrainer(RUNNING)
    made = close_loop(store, champions, MODE, trainer, SETTINGS, NOW)
    assert (made.cause, made.run) == (Cause.ACCURACY, RUNNING)
    assert trainer.started[0]["reason"].startswith("accuracy has fallen by at least 10.9 percent")
    assert close_loop(store, champions, MODE, trainer, SETTINGS, NOW) == made
    assert len(trainer.started) == 1


def test_accuracy_of_a_window_that_has_not_ended_is_no_evidence(
    store: ObjectStore, champions: LocalChampionStore, tmp_path: Path
) -> None:
    manifest = draft(MODE, metrics={"random_holdout": make_holdout()})
    release = champions.registry.publish(manifest, write_files(tmp_path))
    champions.promote(release, "for a test", "test")
    save_verdicts(store, release, Verdict.NO_DRIFT)
    future = NOW + timedelta(hours=1)
    save_document(store, make_labelled_window(1_200, 1_000, future, release=release.id))
    made = close_loop(store, champions, MODE, FakeTrainer(RUNNING), SETTINGS, NOW)
    assert made.cause is Cause.STEADY


def test_decision_to_wait_is_stored(
    store: ObjectStore, champions: LocalChampionStore, champion: Release
) -> None:
    save_verdicts(store, champion, Verdict.NO_DRIFT)
    made = close_loop(store, champions, MODE, FakeTrainer(RUNNING), SETTINGS, NOW)
    assert (made.action, made.cause) == (Action.WAIT, Cause.STEADY)
    assert "0 of the champion's last 1 windows drifted" in made.reason
    assert load_documents(store, Decision, MODE) == [made]


def test_failed_start_is_stored_and_retried(
    store: ObjectStore, champions: LocalChampionStore, drifted_champion: Release
) -> None:
    with pytest.raises(SkyclassError, match="KFP is unreachable"):
        close_loop(
            store, champions, MODE, FakeTrainer(SkyclassError("KFP is unreachable")), SETTINGS, NOW
        )
    (failed,) = load_documents(store, Decision, MODE)
    assert failed.run == Run(state=RunState.FAILED, message="KFP is unreachable")
    again = close_loop(
        store, champions, MODE, FakeTrainer(RUNNING), SETTINGS, NOW + timedelta(minutes=1)
    )
    assert again.run == RUNNING
    assert load_documents(store, Decision, MODE) == [again]


def test_next_window_updates_the_run(
    store: ObjectStore, champions: LocalChampionStore, drifted_champion: Release, tmp_path: Path
) -> None:
    close_loop(store, champions, MODE, FakeTrainer(RUNNING), SETTINGS, NOW)
    better = champions.registry.publish(draft(MODE, run_id="run"), write_files(tmp_path / "better"))
    champions.promote(better, "gate passed", "run")
    end = END + DAY
    save_document(store, make_daily_verdict(Verdict.DRIFT, better.id, end))
    ended = Run(state=RunState.SUCCEEDED, id="run", link="https://kfp/run")
    second = close_loop(store, champions, MODE, FakeTrainer(ended), SETTINGS, NOW + DAY)
    first, last = load_documents(store, Decision, MODE)
    assert first.run == ended.model_copy(update={"promoted": True, "release": better.id})
    assert last == second
    assert second.cause is Cause.STEADY  # the new champion has drifted in one window only


def test_no_run_is_started_while_a_release_waits_for_approval(
    store: ObjectStore, champions: LocalChampionStore, drifted_champion: Release, tmp_path: Path
) -> None:
    gate = drifted_champion.manifest.gate.model_copy(update={"champion": drifted_champion.id})
    manifest = draft(MODE, run_id="earlier", gate=gate)
    release = champions.registry.publish(manifest, write_files(tmp_path / "waiting"))
    approvals = ApprovalLog(store)
    approvals.request(release, "the run has promotion=approve")
    trainer = FakeTrainer(RUNNING)
    made = close_loop(store, champions, MODE, trainer, SETTINGS, NOW)
    assert (made.action, made.cause) == (Action.WAIT, Cause.APPROVAL_PENDING)
    assert f"release {release.id[:12]} waits for approval" in made.reason
    assert trainer.started == []

    by_hand.decline(champions, approvals, release, "vera", "too many stars")
    save_document(store, make_daily_verdict(Verdict.DRIFT, drifted_champion.id, END + DAY))
    later = close_loop(store, champions, MODE, trainer, SETTINGS, NOW + DAY)
    assert later.run == RUNNING


def test_run_without_a_final_state_times_out(
    store: ObjectStore, champions: LocalChampionStore, drifted_champion: Release
) -> None:
    close_loop(store, champions, MODE, FakeTrainer(RUNNING), SETTINGS, NOW)
    close_loop(store, champions, MODE, FakeTrainer(RUNNING), SETTINGS, NOW + timedelta(hours=5))
    assert load_documents(store, Decision, MODE)[0].run == RUNNING
    close_loop(store, champions, MODE, FakeTrainer(RUNNING), SETTINGS, NOW + timedelta(hours=7))
    (timed_out,) = load_documents(store, Decision, MODE)
    assert timed_out.run is not None
    assert timed_out.run.state is RunState.FAILED
    assert "timed out" in timed_out.run.message


@pytest.mark.parametrize("error", [SystemExit(137), SkyclassError("timed out")])
def test_run_is_found_whose_id_the_job_did_not_store(
    error: BaseException,
    store: ObjectStore,
    champions: LocalChampionStore,
    drifted_champion: Release,
) -> None:
    class CutOffTrainer(FakeTrainer):
        """Starts a run, and the job is killed or gets no response."""

        def start(self, name: str, parameters: Mapping[str, str]) -> Run:
            super().start(name, parameters)
            raise error

    trainer = CutOffTrainer(RUNNING)
    with pytest.raises(type(error)):
        close_loop(store, champions, MODE, trainer, SETTINGS, NOW)
    found = close_loop(store, champions, MODE, trainer, SETTINGS, NOW + timedelta(minutes=10))
    assert found.run == RUNNING
    assert len(trainer.started) == 1
    assert load_documents(store, Decision, MODE) == [found]


def test_outcome_of_a_run_whose_job_was_killed_is_found_a_day_later(
    store: ObjectStore, champions: LocalChampionStore, drifted_champion: Release
) -> None:
    class KilledTrainer(FakeTrainer):
        def start(self, name: str, parameters: Mapping[str, str]) -> Run:
            super().start(name, parameters)
            raise SystemExit(137)

    ended = RUNNING.model_copy(update={"state": RunState.SUCCEEDED, "promoted": False})
    trainer = KilledTrainer(ended)
    with pytest.raises(SystemExit):
        close_loop(store, champions, MODE, trainer, SETTINGS, NOW)
    close_loop(store, champions, MODE, trainer, SETTINGS, NOW + DAY)
    assert load_documents(store, Decision, MODE)[0].run == ended


def test_job_killed_while_starting_a_run_starts_no_second_run(
    store: ObjectStore, champions: LocalChampionStore, drifted_champion: Release
) -> None:
    class KilledTrainer(FakeTrainer):
        def start(self, name: str, parameters: Mapping[str, str]) -> Run:
            raise SystemExit(137)

    with pytest.raises(SystemExit):
        close_loop(store, champions, MODE, KilledTrainer(RUNNING), SETTINGS, NOW)
    trainer = FakeTrainer(RUNNING)
    found = close_loop(store, champions, MODE, trainer, SETTINGS, NOW + timedelta(minutes=10))
    assert found.run == Run(state=RunState.STARTING)
    assert trainer.started == []


@pytest.fixture
def worse_champion(
    store: ObjectStore, champions: LocalChampionStore, champion: Release, tmp_path: Path
) -> Release:
    """A champion that is worse than its parent, which is `champion`."""
    return promote_worse_release(store, champions, champion, tmp_path / "worse")


def test_release_worse_than_its_parent_is_rolled_back_once(
    store: ObjectStore,
    champions: LocalChampionStore,
    champion: Release,
    worse_champion: Release,
) -> None:
    made = close_loop(store, champions, MODE, FakeTrainer(RUNNING), SETTINGS, NOW)
    assert made.action is Action.ROLL_BACK
    assert champions.get_champion(MODE) == champion
    event = champions.list_promotions(MODE)[-1]
    assert event.run_id == make_run_id(END)
    assert event.reason.startswith("rolled back: release ")
    assert close_loop(store, champions, MODE, FakeTrainer(RUNNING), SETTINGS, NOW) == made
    assert len(champions.list_promotions(MODE)) == 3

    champions.promote(worse_champion, "manual override", "by hand")
    save_document(store, make_daily_verdict(Verdict.NO_DRIFT, worse_champion.id, END + DAY))
    later = close_loop(store, champions, MODE, FakeTrainer(RUNNING), SETTINGS, NOW + DAY)
    assert later.action is Action.WAIT
    assert champions.get_champion(MODE) == worse_champion


class FailingStore(LocalChampionStore):
    """Raises an error instead of each promotion."""

    def __init__(self, store: ObjectStore, error: BaseException) -> None:
        super().__init__(store)
        self._error = error

    def promote(self, *_: object, **__: object) -> Promotion:
        raise self._error


def test_rollback_that_fails_is_recorded_and_repeated_by_the_next_job(
    store: ObjectStore,
    champions: LocalChampionStore,
    champion: Release,
    worse_champion: Release,
) -> None:
    full = FailingStore(store, PromotionError("needs 540 MiB of memory: raise the limit"))
    with pytest.raises(PromotionError, match="needs 540 MiB"):
        close_loop(store, full, MODE, FakeTrainer(RUNNING), SETTINGS, NOW)
    [recorded] = load_documents(store, Decision, MODE)
    assert (recorded.action, recorded.cause) == (Action.WAIT, Cause.ROLLBACK_FAILED)
    assert "less accurate than its parent" in recorded.reason
    assert recorded.reason.endswith("its rollback failed: needs 540 MiB of memory: raise the limit")
    assert champions.get_champion(MODE) == worse_champion

    made = close_loop(store, champions, MODE, FakeTrainer(RUNNING), SETTINGS, NOW)
    assert made.action is Action.ROLL_BACK
    assert champions.get_champion(MODE) == champion


def test_rollback_by_hand_after_a_failed_one_is_not_recorded_as_its_success(
    store: ObjectStore,
    champions: LocalChampionStore,
    champion: Release,
    worse_champion: Release,
) -> None:
    failing = FailingStore(store, PromotionError("not served"))
    with pytest.raises(PromotionError):
        close_loop(store, failing, MODE, FakeTrainer(RUNNING), SETTINGS, NOW)
    champions.promote(champion, "rolled back by hand", "vera")
    made = close_loop(store, champions, MODE, FakeTrainer(RUNNING), SETTINGS, NOW)
    assert made.cause is Cause.STEADY
    assert champions.list_promotions(MODE)[-1].run_id == "vera"


def test_rollback_that_was_served_completes_the_last_of_several_attempts(
    store: ObjectStore,
    champions: LocalChampionStore,
    champion: Release,
    worse_champion: Release,
) -> None:
    class ServingStore(LocalChampionStore):
        """Serves the parent, as a cluster does before its promotion is recorded."""

        def get_champion(self, mode: Mode) -> Release:
            return champion

    failing = FailingStore(store, PromotionError("not served"))
    with pytest.raises(PromotionError):
        close_loop(store, failing, MODE, FakeTrainer(RUNNING), SETTINGS, NOW)
    save_document(store, make_daily_verdict(Verdict.NO_DRIFT, worse_champion.id, END + DAY))
    killed = FailingStore(store, SystemExit(137))
    with pytest.raises(SystemExit):
        close_loop(store, killed, MODE, FakeTrainer(RUNNING), SETTINGS, NOW + DAY)

    close_loop(store, ServingStore(store), MODE, FakeTrainer(RUNNING), SETTINGS, NOW + DAY)
    first, last = load_documents(store, Decision, MODE)
    assert (first.cause, last.action) == (Cause.ROLLBACK_FAILED, Action.ROLL_BACK)
    assert champions.list_promotions(MODE)[-1].run_id == make_run_id(END + DAY)


class UnreachableTrainer(FakeTrainer):
    """Cannot look for runs."""

    def find(self, name: str) -> Run | None:
        raise SkyclassError("KFP is unreachable")


def save_unknown_run(store: ObjectStore, release: Release) -> None:
    """Store a decision whose job did not store whether its run was started."""
    unknown = Decision(
        mode=MODE,
        window_end=END - DAY,
        decided_at=NOW - timedelta(hours=1),
        champion=release.id,
        table_version=1,
        action=Action.RETRAIN,
        cause=Cause.DRIFT,
        reason="for a test",
        run=Run(state=RunState.FAILED, message="timed out"),
    )
    save_document(store, unknown)


def test_rollback_does_not_wait_for_an_unreachable_trainer(
    store: ObjectStore,
    champions: LocalChampionStore,
    champion: Release,
    worse_champion: Release,
) -> None:
    save_unknown_run(store, worse_champion)
    made = close_loop(store, champions, MODE, UnreachableTrainer(RUNNING), SETTINGS, NOW)
    assert made.action is Action.ROLL_BACK
    assert champions.get_champion(MODE) == champion


def test_nothing_else_is_decided_while_runs_are_unknown(
    store: ObjectStore, champions: LocalChampionStore, drifted_champion: Release
) -> None:
    save_unknown_run(store, drifted_champion)
    before = load_documents(store, Decision, MODE)
    trainer = UnreachableTrainer(RUNNING)
    with pytest.raises(SkyclassError, match="KFP is unreachable"):
        close_loop(store, champions, MODE, trainer, SETTINGS, NOW)
    assert trainer.started == []
    assert load_documents(store, Decision, MODE) == before


def test_rollback_to_a_damaged_parent_is_recorded(
    store: ObjectStore,
    champions: LocalChampionStore,
    champion: Release,
    worse_champion: Release,
) -> None:
    key = champion.prefix + champion.manifest.files[0].path
    store.put(store.settings.models_bucket, key, b"damaged", "")
    with pytest.raises(ReleaseError, match="do not serve it"):
        close_loop(store, champions, MODE, FakeTrainer(RUNNING), SETTINGS, NOW)
    [recorded] = load_documents(store, Decision, MODE)
    assert recorded.cause is Cause.ROLLBACK_FAILED
    assert "its rollback failed: " in recorded.reason
    assert champions.get_champion(MODE) == worse_champion


def test_champion_promoted_during_the_decision_is_not_replaced_by_a_rollback(
    store: ObjectStore, champions: LocalChampionStore, worse_champion: Release, tmp_path: Path
) -> None:
    newer = champions.registry.publish(draft(MODE, run_id="y"), write_files(tmp_path / "newer"))

    class OvertakenStore(LocalChampionStore):
        """Another process promotes a release after the champion was read."""

        def list_promotions(self, mode: Mode) -> list[Promotion]:
            events = super().list_promotions(mode)
            champions.promote(newer, "gate passed", "y")
            return events

    with pytest.raises(MonitoringError, match="was replaced as champion during the decision"):
        close_loop(store, OvertakenStore(store), MODE, FakeTrainer(RUNNING), SETTINGS, NOW)
    assert champions.get_champion(MODE) == newer
    assert load_documents(store, Decision, MODE) == []


def test_window_that_ends_in_the_future_blocks_no_decision(
    store: ObjectStore, champions: LocalChampionStore, champion: Release
) -> None:
    save_verdicts(store, champion, Verdict.NO_DRIFT)
    save_document(store, make_daily_verdict(Verdict.DRIFT, champion.id, NOW + DAY))
    first = close_loop(store, champions, MODE, FakeTrainer(RUNNING), SETTINGS, NOW)
    assert (first.window_end, first.cause) == (END, Cause.STEADY)

    end, later = END + timedelta(hours=2), NOW + timedelta(hours=2)
    save_document(store, make_daily_verdict(Verdict.NO_DRIFT, champion.id, end))
    second = close_loop(store, champions, MODE, FakeTrainer(RUNNING), SETTINGS, later)
    assert second.window_end == end


def test_no_decision_without_a_window(
    store: ObjectStore, champions: LocalChampionStore, champion: Release
) -> None:
    with pytest.raises(
        MonitoringError, match="no spectroscopic window that has ended was evaluated yet"
    ):
        close_loop(store, champions, MODE, FakeTrainer(RUNNING), SETTINGS, NOW)


def test_decision_is_stored_beside_the_verdict(
    store: ObjectStore, champions: LocalChampionStore, drifted_champion: Release
) -> None:
    made = close_loop(store, champions, MODE, FakeTrainer(RUNNING), SETTINGS, NOW)
    data = store.get(store.settings.reports_bucket, window_prefix(MODE, END) + Decision.file_name)
    assert Decision.model_validate_json(data) == made


def test_triggers_and_promotion_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYCLASS_RETRAINING_PROMOTION", "approve")
    monkeypatch.setenv("SKYCLASS_RETRAINING_ACCURACY_MARGIN", "0.01")
    monkeypatch.setenv("SKYCLASS_RETRAINING_ACCURACY_ROWS", "700")
    settings = load(RetrainingSettings)
    assert settings.promotion is PromotionPolicy.APPROVE
    assert settings.accuracy_rule == AccuracyRule(margin=0.01, min_rows=700)


def test_malformed_setting_is_named(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("SKYCLASS_RETRAINING_PER_DAY", "many")
    with pytest.raises(SkyclassError, match="SKYCLASS_RETRAINING_PER_DAY is malformed"):
        load(RetrainingSettings)
