"""Which release of each mode is champion: one interface for a single machine and for a cluster.

On one machine the newest promotion event names the champion. On a cluster the champion is the
release that the InferenceService serves, and the events are its history.
"""

from typing import Protocol

from skyclass.promotion.events import Promotion
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import Release
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode


class ChampionStore(Protocol):
    """The champions of both modes and their history."""

    def get_champion(self, mode: Mode) -> Release | None:
        """Return the champion of a mode, or None."""

    def get_rollback_target(self, mode: Mode) -> Release:
        """Return the release that the champion replaced.

        Raises:
            ReleaseError: There is no champion, or it was the first.
        """

    def list_promotions(self, mode: Mode) -> list[Promotion]:
        """Return all promotions of a mode, oldest first."""

    def promote(
        self, release: Release, reason: str, run_id: str, approved_by: str | None = None
    ) -> Promotion:
        """Make a release the champion of its mode; on a cluster, wait until it is served.

        Raises:
            PromotionError: It cannot be served; the previous champion is served again.
        """


def open_champion_store(settings: Settings) -> ChampionStore:
    """Return the champions of this machine, or of the cluster if SKYCLASS_NAMESPACE is set.

    Raises:
        ClusterError: The cluster cannot be reached.
        StoreError: AWS_ENDPOINT_URL is not the URL of a server.
    """
    store = ObjectStore(settings)
    if not settings.namespace:
        return LocalChampionStore(store)
    from skyclass.promotion.kserve import KServeChampionStore

    return KServeChampionStore(store)
