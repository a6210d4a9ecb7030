"""Who is champion, and how another release becomes it: one interface for a machine and a cluster.

On one machine the champion is what the newest promotion names, and `Registry` alone knows. On a
cluster it is what the InferenceService serves; the promotions are its history.
"""

from typing import Protocol

from skyclass.registry.manifest import Promotion
from skyclass.registry.releases import Registry, Release
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode


class Champions(Protocol):
    """The champions of both modes."""

    def champion(self, mode: Mode) -> Release | None:
        """The champion of a mode, if there is one."""

    def predecessor(self, mode: Mode) -> Release:
        """The release that the champion once replaced: where a rollback leads.

        Raises:
            ReleaseError: There is no champion, or it was the first.
        """

    def promotions(self, mode: Mode) -> list[Promotion]:
        """All promotions of a mode, the oldest first."""

    def promote(self, release: Release, reason: str, run_id: str) -> Promotion:
        """Make a release the champion of its mode; on a cluster, wait until it is served.

        Raises:
            PromotionError: It cannot be served, and the champion before is served again.
        """


def champions(settings: Settings) -> Champions:
    """The champions of this machine, or of the cluster when SKYCLASS_NAMESPACE names a namespace.

    Raises:
        ClusterError: The cluster cannot be reached.
        StoreError: The endpoint of the object store is no URL of a server.
    """
    registry = Registry(ObjectStore(settings))
    if not settings.namespace:
        return registry
    from skyclass.promotion.kserve import ServedChampions

    return ServedChampions(registry, settings)
