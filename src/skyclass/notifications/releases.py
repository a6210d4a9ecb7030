"""Events about releases: what a run published, and promotions by hand."""

from skyclass.monitoring.runs import make_run_link
from skyclass.notifications.event import Event, Kind, format_time, make_id
from skyclass.notifications.notifier import notify_if_enabled
from skyclass.notifications.settings import NotificationSettings
from skyclass.promotion.events import Promotion
from skyclass.settings import Settings
from skyclass.training.parameters import PromotionPolicy
from skyclass.training.steps.publish import PublishResult


def notify_publication(
    settings: Settings, result: PublishResult, policy: PromotionPolicy, run_id: str
) -> None:
    """Send the message about what a run published. Never fails: failures are logged.

    Args:
        settings: Settings of the step.
        result: The published release.
        policy: What the release needed to be promoted.
        run_id: Id of the run.
    """
    run_link = make_run_link(run_id, settings.kfp_url)
    notify_if_enabled(
        settings,
        lambda _, options: find_publication_events(result, policy, run_id, run_link, options),
    )


def notify_promotion(settings: Settings, promotion: Promotion, kind: Kind) -> None:
    """Send the message about a promotion by hand. Never fails: failures are logged.

    Args:
        settings: Settings of the command.
        promotion: The promotion.
        kind: `PROMOTED` or `ROLLED_BACK`.
    """
    notify_if_enabled(settings, lambda _, options: [make_promotion_event(promotion, kind, options)])


def find_publication_events(
    result: PublishResult,
    policy: PromotionPolicy,
    run_id: str,
    run_link: str | None,
    options: NotificationSettings,
) -> list[Event]:
    """Return the event of a run that published a release; none if it was not to be promoted.

    Args:
        result: The published release.
        policy: What the release needed to be promoted.
        run_id: Id of the run, which also identifies its event when the step is retried.
        run_link: Page of the run, if it has one.
        options: URL of the monitor.
    """
    if policy is PromotionPolicy.NEVER:
        return []
    release = result.release
    kind, outcome = _find_outcome(result)
    links = [run_link, _make_page_link(release.id, options)]
    if kind is Kind.WAITING:
        links.reverse()  # the page of the release has the evidence
    return [
        Event(
            id=make_id(kind, release.mode, run_id),
            kind=kind,
            mode=release.mode,
            reason=f"release {release.id[:12]} {outcome}",
            link=next((link for link in links if link), None),
            time=release.manifest.created_at,
        )
    ]


def _find_outcome(result: PublishResult) -> tuple[Kind, str]:
    if result.promoted:
        return Kind.PROMOTED, f"is champion: {result.reason}"
    if result.waits_for_approval:
        command = f"skyclass promote {result.release.id[:12]} --approve --reason WHY"
        return Kind.WAITING, f"{result.reason}. To promote it: `{command}`"
    return Kind.REJECTED, f"was not promoted: {result.reason}"


def make_promotion_event(promotion: Promotion, kind: Kind, options: NotificationSettings) -> Event:
    """Return the event of a promotion by hand.

    Args:
        promotion: The promotion.
        kind: `PROMOTED` or `ROLLED_BACK`.
        options: URL of the monitor.
    """
    replaced = f", in place of {promotion.from_release[:12]}" if promotion.from_release else ""
    approved = f" (approved by {promotion.approved_by})" if promotion.approved_by else ""
    return Event(
        id=make_id(kind, promotion.mode, format_time(promotion.time), promotion.to_release[:12]),
        kind=kind,
        mode=promotion.mode,
        reason=f"release {promotion.to_release[:12]} is champion{replaced}: {promotion.reason}"
        f"{approved}",
        link=_make_page_link(promotion.to_release, options),
        time=promotion.time,
    )


def _make_page_link(release_id: str, options: NotificationSettings) -> str | None:
    """Return the page of a release on the monitor."""
    return (
        f"{options.monitor_url.rstrip('/')}/releases/{release_id}" if options.monitor_url else None
    )
