"""Killed publications, promotions and approvals leave a consistent registry."""

from pathlib import Path

import pytest

from skyclass.promotion import by_hand
from skyclass.promotion.approvals import ApprovalLog
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import Release, open_release
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.processes import SIGKILL_EXIT_CODE, KillSwitch, run_in_child
from tests.support.releases import FILES, draft, write_files

MODE = Mode.PHOTOMETRIC
CHALLENGER = draft(run_id="challenger")
KILL_POINT_AFTER_MANIFEST = 2 * len(FILES) + 1
"""The last kill point: there are two for each file, and two for the manifest."""


def publish_until_killed(kill_point: int, settings: Settings, folder: Path) -> None:
    """Publish in a child process that is killed at a kill point."""
    ObjectStore.put = KillSwitch(kill_point).wrap(ObjectStore.put)
    LocalChampionStore(ObjectStore(settings)).registry.publish(CHALLENGER, write_files(folder))


def promote_until_killed(kill_point: int, settings: Settings, release: Release) -> None:
    """Promote in a child process that is killed at a kill point."""
    ObjectStore.put = KillSwitch(kill_point).wrap(ObjectStore.put)
    LocalChampionStore(ObjectStore(settings)).promote(release, "better", "run-2")


def approve_until_killed(kill_point: int, settings: Settings, release: Release) -> None:
    """Approve a release in a child process that is killed at a kill point."""
    ObjectStore.put = KillSwitch(kill_point).wrap(ObjectStore.put)
    store = ObjectStore(settings)
    by_hand.approve(LocalChampionStore(store), ApprovalLog(store), release, "vera", "good")


@pytest.fixture
def champions(store: ObjectStore) -> LocalChampionStore:
    return LocalChampionStore(store)


@pytest.fixture
def champion(champions: LocalChampionStore, tmp_path: Path) -> Release:
    release = champions.registry.publish(
        draft(run_id="champion"), write_files(tmp_path / "champion")
    )
    champions.promote(release, "first of its mode", "run-1")
    return release


@pytest.mark.parametrize("kill_point", range(KILL_POINT_AFTER_MANIFEST))
def test_publication_killed_before_the_manifest_leaves_no_release(
    kill_point: int,
    champions: LocalChampionStore,
    champion: Release,
    settings: Settings,
    tmp_path: Path,
) -> None:
    exit_code = run_in_child(publish_until_killed, kill_point, settings, tmp_path)
    assert exit_code == SIGKILL_EXIT_CODE
    assert champions.registry.list_releases(MODE) == [champion]
    assert champions.get_champion(MODE) == champion

    published = champions.registry.publish(CHALLENGER, write_files(tmp_path))
    assert published in champions.registry.list_releases(MODE)
    assert len(champions.registry.list_releases(MODE)) == 2


def test_publication_killed_after_the_manifest_leaves_a_complete_release(
    champions: LocalChampionStore, champion: Release, settings: Settings, tmp_path: Path
) -> None:
    exit_code = run_in_child(publish_until_killed, KILL_POINT_AFTER_MANIFEST, settings, tmp_path)
    assert exit_code == SIGKILL_EXIT_CODE
    [published] = [each for each in champions.registry.list_releases(MODE) if each != champion]
    champions.registry.download(published, tmp_path / "copy")
    assert open_release(tmp_path / "copy").manifest.run_id == "challenger"
    assert champions.get_champion(MODE) == champion


@pytest.mark.parametrize(("kill_point", "is_promoted"), [(0, False), (1, True)])
def test_killed_promotion_is_atomic(
    kill_point: int,
    is_promoted: bool,
    champions: LocalChampionStore,
    champion: Release,
    settings: Settings,
    tmp_path: Path,
) -> None:
    challenger = champions.registry.publish(CHALLENGER, write_files(tmp_path))
    exit_code = run_in_child(promote_until_killed, kill_point, settings, challenger)
    assert exit_code == SIGKILL_EXIT_CODE
    assert champions.get_champion(MODE) == (challenger if is_promoted else champion)
    assert len(champions.list_promotions(MODE)) == 1 + is_promoted


@pytest.mark.parametrize(
    ("kill_point", "is_recorded", "is_promoted"),
    [(0, False, False), (1, True, False), (2, True, False), (3, True, True)],
)
def test_killed_approval_is_completed_by_promoting_again(
    kill_point: int,
    is_recorded: bool,
    is_promoted: bool,
    champions: LocalChampionStore,
    champion: Release,
    store: ObjectStore,
    tmp_path: Path,
) -> None:
    gate = CHALLENGER.gate.model_copy(update={"champion": champion.id})
    manifest = CHALLENGER.model_copy(update={"gate": gate})
    challenger = champions.registry.publish(manifest, write_files(tmp_path))
    approvals = ApprovalLog(store)
    approvals.request(challenger, "the run has promotion=approve")
    exit_code = run_in_child(approve_until_killed, kill_point, store.settings, challenger)
    assert exit_code == SIGKILL_EXIT_CODE
    (found,) = approvals.list_approvals(MODE, champion.id)
    assert (found.decision is not None) is is_recorded
    assert champions.get_champion(MODE) == (challenger if is_promoted else champion)

    event = by_hand.approve(champions, approvals, challenger, "nancy", "good, too")
    assert champions.get_champion(MODE) == challenger
    assert event.approved_by == ("vera" if is_recorded else "nancy")
    assert len(champions.list_promotions(MODE)) == 2
