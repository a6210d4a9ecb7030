"""The registry, the champions and the approvals that commands for releases read."""

from typing import TYPE_CHECKING

from skyclass.settings import load_settings
from skyclass.survey.features import Mode

if TYPE_CHECKING:
    from skyclass.promotion.approvals import Approval, ApprovalLog
    from skyclass.promotion.champions import ChampionStore
    from skyclass.registry.releases import Registry


def open_registry() -> "Registry":
    """Return the releases that the settings name."""
    from skyclass.registry.releases import Registry
    from skyclass.storage.s3 import ObjectStore

    return Registry(ObjectStore(load_settings()))


def open_champions() -> "ChampionStore":
    """Return the champions of this machine or of the cluster, as the settings say."""
    from skyclass.promotion.champions import open_champion_store

    return open_champion_store(load_settings())


def open_approval_log() -> "ApprovalLog":
    """Return the requests for approval and the decisions about them."""
    from skyclass.promotion.approvals import ApprovalLog
    from skyclass.storage.s3 import ObjectStore

    return ApprovalLog(ObjectStore(load_settings()))


def list_approvals(champions: "ChampionStore", mode: Mode) -> "list[Approval]":
    """Return the approvals of a mode, oldest first, with their current states."""
    champion = champions.get_champion(mode)
    return open_approval_log().list_approvals(mode, champion.id if champion else None)
