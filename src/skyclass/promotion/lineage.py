"""Which release a champion replaced, derived from the promotion events."""

from collections.abc import Sequence

from skyclass.errors import ReleaseError
from skyclass.promotion.events import Promotion
from skyclass.survey.features import Mode


def find_parent(promotions: Sequence[Promotion], release_id: str) -> str | None:
    """Return the release that a champion replaced and has to be compared with.

    Args:
        promotions: All promotions of a mode, oldest first.
        release_id: Id of the champion.

    Returns:
        None for the first champion, and for one that was promoted more than once: the comparison
        that brought it back stands.
    """
    changes = _list_changes_to(release_id, promotions)
    return changes[0].from_release if len(changes) == 1 else None


def find_rollback_target(
    mode: Mode, champion_id: str | None, promotions: Sequence[Promotion]
) -> str:
    """Return the id of the release that the champion replaced when it was first promoted.

    A champion that is served because of a rollback that was not recorded is its own target, so that
    repeating the rollback completes it.

    Args:
        mode: The mode of the champion, for messages.
        champion_id: Id of the champion, if there is one.
        promotions: All promotions of the mode, oldest first.

    Raises:
        ReleaseError: There is no champion, or it was the first.
    """
    if champion_id is None:
        raise ReleaseError(
            f"no {mode} release has been promoted yet: promote one before you roll back"
        )
    recorded = promotions[-1].to_release if promotions else None
    if recorded and recorded != champion_id:  # the champion is served, but was not recorded
        before = [event.from_release for event in _list_changes_to(recorded, promotions)]
        if before[:1] == [champion_id]:
            return champion_id
    changes = _list_changes_to(champion_id, promotions)
    target = changes[0].from_release if changes else recorded
    if target is None:
        raise ReleaseError(
            f"{champion_id[:12]} was the first {mode} champion: there is no release to roll back "
            "to; promote another one"
        )
    return target


def find_promoted(promotions: Sequence[Promotion], run_id: str | None) -> str | None:
    """Return the release that a run promoted last, or None.

    Args:
        promotions: All promotions of a mode, oldest first.
        run_id: Id of the run.
    """
    promoted = [event.to_release for event in promotions if event.run_id == run_id]
    return promoted[-1] if promoted else None


def _list_changes_to(release_id: str, promotions: Sequence[Promotion]) -> list[Promotion]:
    """Return the promotions that made a release champion; others promoted the champion again."""
    return [
        event
        for event in promotions
        if event.to_release == release_id and event.from_release != release_id
    ]
