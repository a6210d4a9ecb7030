"""Releases that wait for an approval, and what a person decides about them."""

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

from skyclass.errors import PromotionError, ReleaseError
from skyclass.promotion import approvals as approvals_module
from skyclass.promotion import by_hand
from skyclass.promotion.approvals import ApprovalLog, ApprovalState, find_waiting
from skyclass.promotion.lineage import find_parent
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import Release
from skyclass.registry.verdicts import Check, GateVerdict, Outcome
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.processes import run_concurrently
from tests.support.releases import draft, write_files

MODE = Mode.PHOTOMETRIC
REVIEW = Check(group="traffic", subject="QSO share", test="limit", rows=900, outcome=Outcome.REVIEW)
Publish = Callable[..., Release]


@pytest.fixture
def champions(store: ObjectStore) -> LocalChampionStore:
    return LocalChampionStore(store)


@pytest.fixture
def approvals(store: ObjectStore) -> ApprovalLog:
    return ApprovalLog(store)


@pytest.fixture
def publish(champions: LocalChampionStore, tmp_path: Path) -> Publish:
    """Publishes a release of a run whose gate compared it with the champion."""

    def publish(run_id: str, **gate: Any) -> Release:
        champion = champions.get_champion(MODE)
        verdict = GateVerdict(
            passed=True,
            reason="not worse",
            champion=champion.id if champion else None,
            challenger_macro_f1=0.9,
            rows=9,
        )
        manifest = draft(MODE, run_id=run_id, gate=verdict.model_copy(update=gate))
        return champions.registry.publish(manifest, write_files(tmp_path))

    return publish


@pytest.fixture
def champion(champions: LocalChampionStore, publish: Publish) -> Release:
    release = publish("run-1")
    champions.promote(release, "first of its mode", "run-1")
    return release


@pytest.fixture
def waiting(champion: Release, publish: Publish, approvals: ApprovalLog) -> Release:
    """A release that waits for an approval."""
    release = publish("run-2")
    approvals.request(release, "the run has promotion=approve")
    return release


class ClockAhead(datetime):
    """The clock of another machine, an hour ahead."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "ClockAhead":
        return super().now(tz) + timedelta(hours=1)


def get_states(approvals: ApprovalLog, champions: LocalChampionStore) -> dict[str, ApprovalState]:
    champion = champions.get_champion(MODE)
    found = approvals.list_approvals(MODE, champion.id if champion else None)
    return {each.release: each.state for each in found}


def test_approved_release_is_promoted_with_who_and_why(
    champions: LocalChampionStore, approvals: ApprovalLog, champion: Release, waiting: Release
) -> None:
    event = by_hand.approve(champions, approvals, waiting, "vera", "checked the faint quasars")
    assert champions.get_champion(MODE) == waiting
    assert (event.from_release, event.to_release) == (champion.id, waiting.id)
    assert (event.approved_by, event.reason) == ("vera", "checked the faint quasars")
    assert event.run_id == "run-2"
    assert champions.list_promotions(MODE)[-1] == event
    assert get_states(approvals, champions) == {waiting.id: ApprovalState.APPROVED}


def test_approval_is_idempotent(
    champions: LocalChampionStore, approvals: ApprovalLog, waiting: Release
) -> None:
    first = by_hand.approve(champions, approvals, waiting, "vera", "good")
    assert by_hand.approve(champions, approvals, waiting, "nancy", "good as well") == first
    assert len(champions.list_promotions(MODE)) == 2


def test_declined_release_is_not_promoted(
    champions: LocalChampionStore, approvals: ApprovalLog, champion: Release, waiting: Release
) -> None:
    decision = by_hand.decline(champions, approvals, waiting, "vera", "too many stars")
    assert by_hand.decline(champions, approvals, waiting, "nancy", "yes") == decision
    assert get_states(approvals, champions) == {waiting.id: ApprovalState.DECLINED}
    with pytest.raises(PromotionError, match=r"declined by vera \(too many stars\).*--approve"):
        by_hand.promote(champions, approvals, waiting, "by hand", "by-hand")
    assert champions.get_champion(MODE) == champion


def test_declined_release_can_still_be_approved(
    champions: LocalChampionStore, approvals: ApprovalLog, waiting: Release
) -> None:
    by_hand.decline(champions, approvals, waiting, "vera", "too many stars")
    event = by_hand.approve(champions, approvals, waiting, "vera", "the stars are right")
    assert (event.to_release, event.reason) == (waiting.id, "the stars are right")


def test_newest_decision_counts_even_if_the_clock_of_the_previous_one_was_ahead(
    champions: LocalChampionStore,
    approvals: ApprovalLog,
    waiting: Release,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(approvals_module, "datetime", ClockAhead)
        ahead = approvals.decide(waiting, approved=True, by="vera", reason="good")
    declined = approvals.decide(waiting, approved=False, by="nancy", reason="too many stars")
    assert declined.time > ahead.time
    assert get_states(approvals, champions) == {waiting.id: ApprovalState.DECLINED}


def test_champion_is_not_declined(
    champions: LocalChampionStore, approvals: ApprovalLog, champion: Release
) -> None:
    with pytest.raises(PromotionError, match="skyclass rollback --mode photometric"):
        by_hand.decline(champions, approvals, champion, "vera", "too many stars")


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (
            {"passed": False, "reason": "worse on stars"},
            r"did not pass its gate \(worse on stars\)",
        ),
        ({"checks": (REVIEW,)}, r"needs an approval \(QSO share\)"),
    ],
)
def test_promotion_without_an_approval_is_rejected(
    champions: LocalChampionStore,
    approvals: ApprovalLog,
    champion: Release,
    publish: Publish,
    gate: dict[str, Any],
    message: str,
) -> None:
    release = publish("run-2", **gate)
    with pytest.raises(PromotionError, match=f"{message}.*--approve --reason"):
        by_hand.promote(champions, approvals, release, "by hand", "by-hand")
    assert champions.get_champion(MODE) == champion
    event = by_hand.approve(champions, approvals, release, "vera", "known limits")
    assert champions.get_champion(MODE) == release
    assert event.approved_by == "vera"


def test_waiting_release_needs_an_approval(
    champions: LocalChampionStore, approvals: ApprovalLog, champion: Release, waiting: Release
) -> None:
    with pytest.raises(PromotionError, match=r"waits for approval.*--approve --reason WHY`$"):
        by_hand.promote(champions, approvals, waiting, "by hand", "by-hand")
    assert champions.get_champion(MODE) == champion


def test_former_champion_is_promoted_without_an_approval(
    champions: LocalChampionStore, approvals: ApprovalLog, champion: Release, publish: Publish
) -> None:
    rejected = publish("run-2", passed=False)
    by_hand.approve(champions, approvals, rejected, "vera", "an experiment")
    by_hand.promote(champions, approvals, champion, "back", "by-hand")
    by_hand.promote(champions, approvals, rejected, "once more", "by-hand")
    assert champions.get_champion(MODE) == rejected


def test_newer_waiting_release_supersedes_the_older_one(
    champions: LocalChampionStore, approvals: ApprovalLog, waiting: Release, publish: Publish
) -> None:
    newer = publish("run-3")
    approvals.request(newer, "the run has promotion=approve")
    assert get_states(approvals, champions) == {
        waiting.id: ApprovalState.SUPERSEDED,
        newer.id: ApprovalState.WAITING,
    }


def test_approval_on_stale_evidence_is_rejected(
    champions: LocalChampionStore, approvals: ApprovalLog, waiting: Release, publish: Publish
) -> None:
    other = publish("run-3")
    champions.promote(other, "better", "run-3")
    assert get_states(approvals, champions) == {waiting.id: ApprovalState.SUPERSEDED}
    with pytest.raises(PromotionError, match=f"the champion is release {other.id[:12]}: run the"):
        by_hand.approve(champions, approvals, waiting, "vera", "good")
    assert champions.get_champion(MODE) == other
    assert get_states(approvals, champions) == {waiting.id: ApprovalState.SUPERSEDED}


def test_first_release_of_a_mode_can_wait(
    champions: LocalChampionStore, approvals: ApprovalLog, publish: Publish
) -> None:
    release = publish("run-1")
    request = approvals.request(release, "the run has promotion=approve")
    assert request.champion is None
    waiting = find_waiting(approvals.list_approvals(MODE, None))
    assert waiting is not None
    assert waiting.request == request
    assert approvals.list_approvals(Mode.SPECTROSCOPIC, None) == []
    assert by_hand.approve(champions, approvals, release, "vera", "good").from_release is None


def test_malformed_request_is_named(approvals: ApprovalLog, store: ObjectStore) -> None:
    key = f"promotions/approvals/{MODE}/{'a' * 64}/request.json"
    store.put(store.settings.models_bucket, key, b"{}", "application/json")
    with pytest.raises(ReleaseError, match=f"^{key}: not a valid approval request of this version"):
        approvals.list_approvals(MODE, None)


def approve_at_once(settings: Any, release: Release, name: str, start: Any, results: Any) -> None:
    """Approve a release in a child process, at the same time as another one."""
    store = ObjectStore(settings)
    start.wait()
    event = by_hand.approve(LocalChampionStore(store), ApprovalLog(store), release, name, "good")
    results.put(event.to_release)


def test_two_approvals_at_once_promote_the_release_once(
    champions: LocalChampionStore, champion: Release, waiting: Release, store: ObjectStore
) -> None:
    calls = [(store.settings, waiting, name) for name in ("vera", "nancy")]
    assert run_concurrently(approve_at_once, *calls) == [waiting.id, waiting.id]
    assert champions.get_champion(MODE) == waiting
    assert champions.get_rollback_target(MODE) == champion
    assert find_parent(champions.list_promotions(MODE), waiting.id) == champion.id
