"""Events of releases: what a run published, and promotions by hand."""

from datetime import UTC, datetime

import pytest

from skyclass.notifications.event import Event, Kind
from skyclass.notifications.releases import find_publication_events, make_promotion_event
from skyclass.notifications.settings import NotificationSettings
from skyclass.promotion.events import Promotion
from skyclass.registry.releases import Release
from skyclass.survey.features import Mode
from skyclass.training.parameters import PromotionPolicy
from skyclass.training.steps.publish import PublishResult
from tests.support.releases import draft

RELEASE = Release("a" * 64, draft(Mode.PHOTOMETRIC))
OPTIONS = NotificationSettings.model_construct(monitor_url="https://monitor/")
RUN_ID = "5d1f3a52-8d2e-4a58-9c7e-3f1b6a7d8e90"
RUN_LINK = f"https://kfp/#/runs/details/{RUN_ID}"


def find_events(
    result: PublishResult,
    policy: PromotionPolicy = PromotionPolicy.IF_BETTER,
    link: str | None = RUN_LINK,
) -> list[Event]:
    return find_publication_events(result, policy, RUN_ID, link, OPTIONS)


@pytest.mark.parametrize(("promoted", "kind"), [(True, Kind.PROMOTED), (False, Kind.REJECTED)])
def test_publication_is_reported_with_verdict_and_run(promoted: bool, kind: Kind) -> None:
    result = PublishResult(RELEASE, promoted, "macro-F1 0.95 against 0.94", None)
    (event,) = find_events(result)
    assert event.kind is kind
    assert event.reason.startswith("release aaaaaaaaaaaa ")
    assert event.reason.endswith(": macro-F1 0.95 against 0.94")
    assert event.link == RUN_LINK


def test_release_that_waits_is_reported_with_the_command_that_approves_it() -> None:
    result = PublishResult(RELEASE, False, "waits for approval: QSO share", None, True)
    (event,) = find_events(result, PromotionPolicy.APPROVE)
    assert event.kind is Kind.WAITING
    assert "waits for approval: QSO share" in event.reason
    assert "skyclass promote aaaaaaaaaaaa --approve --reason" in event.reason
    assert event.link == f"https://monitor/releases/{RELEASE.id}"


def test_run_that_is_not_to_promote_is_not_reported() -> None:
    result = PublishResult(RELEASE, False, "the run has promotion=never", None)
    assert find_events(result, PromotionPolicy.NEVER) == []


def test_retried_step_reports_the_same_event() -> None:
    again = Release("b" * 64, draft(Mode.PHOTOMETRIC, created_at=datetime.now(UTC)))
    ids = {
        find_events(PublishResult(release, True, "better", None))[0].id
        for release in (RELEASE, again)
    }
    assert len(ids) == 1


def test_run_without_a_page_is_reported_with_the_page_of_the_release() -> None:
    result = PublishResult(RELEASE, True, "better", None)
    (event,) = find_events(result, link=None)
    assert event.link == f"https://monitor/releases/{RELEASE.id}"


def test_promotion_by_hand_names_both_releases() -> None:
    promotion = Promotion(
        mode=Mode.PHOTOMETRIC,
        from_release="b" * 64,
        to_release="a" * 64,
        reason="too slow",
        run_id="by-hand",
        time=datetime(2026, 5, 2, tzinfo=UTC),
        approved_by="Vera",
    )
    event = make_promotion_event(promotion, Kind.ROLLED_BACK, OPTIONS)
    assert event.reason == (
        "release aaaaaaaaaaaa is champion, in place of bbbbbbbbbbbb: too slow (approved by Vera)"
    )
