"""Champions on one machine: the newest promotion event names the champion."""

from skyclass.promotion.events import Promotion, PromotionLog
from skyclass.promotion.lineage import find_rollback_target
from skyclass.registry.releases import Registry, Release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode


class LocalChampionStore:
    """The champions that the promotion events in the models bucket name."""

    def __init__(self, store: ObjectStore) -> None:
        self.registry = Registry(store)
        self._log = PromotionLog(store)

    def get_champion(self, mode: Mode) -> Release | None:
        """Return the champion of a mode, or None.

        Raises:
            ReleaseError: The newest event or the champion's manifest is damaged.
        """
        newest = self._log.get_newest(mode)
        return self.registry.read(mode, newest.to_release) if newest else None

    def get_rollback_target(self, mode: Mode) -> Release:
        """Return the release that the champion replaced.

        Raises:
            ReleaseError: There is no champion, or it was the first.
        """
        promotions = self._log.list_promotions(mode)
        champion_id = promotions[-1].to_release if promotions else None
        return self.registry.read(mode, find_rollback_target(mode, champion_id, promotions))

    def list_promotions(self, mode: Mode) -> list[Promotion]:
        """Return all promotions of a mode, oldest first."""
        return self._log.list_promotions(mode)

    def promote(
        self, release: Release, reason: str, run_id: str, approved_by: str | None = None
    ) -> Promotion:
        """Make a release the champion of its mode by appending an event.

        Raises:
            ReleaseError: A file of the release is missing or differs from its manifest.
        """
        self.registry.verify(release)
        newest = self._log.get_newest(release.mode)
        champion_id = newest.to_release if newest else None
        return self._log.append(release.mode, champion_id, release.id, reason, run_id, approved_by)
