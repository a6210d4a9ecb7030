"""Killed and concurrent publications, promotions and approvals leave a consistent registry."""

from pathlib import Path
from typing import Any

import pytest

from skyclass.promotion import by_hand
from skyclass.promotion.approvals import ApprovalLog
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import Release, open_release
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.faults.history import History
from tests.support.processes import SIGKILL_EXIT_CODE, KillSwitch, run_concurrently, run_in_child
from tests.support.releases import FILES, draft, write_files

MODE = Mode.PHOTOMETRIC
CHALLENGER = draft(run_id="challenger")
ROUNDS = 10
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


def find_releases(champions: LocalChampionStore) -> list[str]:
    """Return the ids of all releases, after reading all of their files."""
    releases = champions.registry.list_releases(MODE)
    for release in releases:
        for entry in release.manifest.files:
            champions.registry.read_file(release, entry.path)
    return [release.id for release in releases]


@pytest.mark.fault("pipeline-killed")
@pytest.mark.parametrize("kill_point", range(KILL_POINT_AFTER_MANIFEST))
def test_publication_killed_before_the_manifest_leaves_no_release(
    kill_point: int,
    champions: LocalChampionStore,
    champion: Release,
    settings: Settings,
    tmp_path: Path,
    history: History,
) -> None:
    history.acknowledge(champion.id)
    exit_code = run_in_child(publish_until_killed, kill_point, settings, tmp_path)
    assert exit_code == SIGKILL_EXIT_CODE
    history.fire("the publication ended with SIGKILL")
    assert champions.registry.list_releases(MODE) == [champion]
    assert champions.get_champion(MODE) == champion

    with history.recovery():
        published = champions.registry.publish(CHALLENGER, write_files(tmp_path))
    history.acknowledge(published.id)
    history.find(find_releases(champions))


@pytest.mark.fault("pipeline-killed")
def test_publication_killed_after_the_manifest_leaves_a_complete_release(
    champions: LocalChampionStore,
    champion: Release,
    settings: Settings,
    tmp_path: Path,
    history: History,
) -> None:
    history.acknowledge(champion.id)
    exit_code = run_in_child(publish_until_killed, KILL_POINT_AFTER_MANIFEST, settings, tmp_path)
    assert exit_code == SIGKILL_EXIT_CODE
    history.fire("the publication ended with SIGKILL after its last write")
    [published] = [each for each in champions.registry.list_releases(MODE) if each != champion]
    champions.registry.download(published, tmp_path / "copy")
    assert open_release(tmp_path / "copy").manifest.run_id == "challenger"
    assert champions.get_champion(MODE) == champion
    with history.recovery():
        again = champions.registry.publish(CHALLENGER, write_files(tmp_path))
    history.acknowledge(again.id)
    history.find(find_releases(champions))


@pytest.mark.fault("pipeline-killed")
@pytest.mark.parametrize(("kill_point", "is_promoted"), [(0, False), (1, True)])
def test_killed_promotion_is_atomic(
    kill_point: int,
    is_promoted: bool,
    champions: LocalChampionStore,
    champion: Release,
    settings: Settings,
    tmp_path: Path,
    history: History,
) -> None:
    challenger = champions.registry.publish(CHALLENGER, write_files(tmp_path))
    history.acknowledge(champion.id, challenger.id)
    exit_code = run_in_child(promote_until_killed, kill_point, settings, challenger)
    assert exit_code == SIGKILL_EXIT_CODE
    history.fire("the promotion ended with SIGKILL")
    assert champions.get_champion(MODE) == (challenger if is_promoted else champion)
    assert len(champions.list_promotions(MODE)) == 1 + is_promoted

    with history.recovery():
        champions.promote(challenger, "better", "run-2")
    assert champions.get_champion(MODE) == challenger
    history.find(find_releases(champions))


@pytest.mark.fault("pipeline-killed")
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
    history: History,
) -> None:
    gate = CHALLENGER.gate.model_copy(update={"champion": champion.id})
    manifest = CHALLENGER.model_copy(update={"gate": gate})
    challenger = champions.registry.publish(manifest, write_files(tmp_path))
    approvals = ApprovalLog(store)
    approvals.request(challenger, "the run has promotion=approve")
    history.acknowledge(champion.id, challenger.id)
    exit_code = run_in_child(approve_until_killed, kill_point, store.settings, challenger)
    assert exit_code == SIGKILL_EXIT_CODE
    history.fire("the approval ended with SIGKILL")
    (found,) = approvals.list_approvals(MODE, champion.id)
    assert (found.decision is not None) is is_recorded
    assert champions.get_champion(MODE) == (challenger if is_promoted else champion)

    with history.recovery():
        event = by_hand.approve(champions, approvals, challenger, "nancy", "good, too")
    assert champions.get_champion(MODE) == challenger
    assert event.approved_by == ("vera" if is_recorded else "nancy")
    assert len(champions.list_promotions(MODE)) == 2
    history.find(find_releases(champions))


def publish_and_promote(
    run_id: str, settings: Settings, folder: Path, start: Any, results: Any
) -> None:
    """Publish and promote releases in a child process at the same time as another."""
    champions = LocalChampionStore(ObjectStore(settings))
    start.wait()
    for number in range(ROUNDS):
        manifest = draft(run_id=f"{run_id}-{number}")
        release = champions.registry.publish(manifest, write_files(folder / run_id))
        champions.promote(release, "better", manifest.run_id)
    results.put(run_id)


@pytest.mark.fault("two-publishers")
def test_two_publishers_lose_no_release_and_keep_the_history_of_champions_linear(
    champions: LocalChampionStore,
    champion: Release,
    settings: Settings,
    tmp_path: Path,
    history: History,
) -> None:
    history.acknowledge(champion.id)
    calls = ((run_id, settings, tmp_path) for run_id in ("one", "two"))
    run_concurrently(publish_and_promote, *calls)
    history.fire("two processes published and promoted releases at once")
    releases = champions.registry.list_releases(MODE)
    history.acknowledge(*(release.id for release in releases))
    runs = {release.manifest.run_id for release in releases}
    assert runs == {"champion", *(f"{run}-{n}" for run in ("one", "two") for n in range(ROUNDS))}

    with history.recovery():
        promotions = champions.list_promotions(MODE)
    history.find(event.to_release for event in promotions)
    ids = [None, *(event.to_release for event in promotions)]
    assert [event.from_release for event in promotions] == ids[:-1]
    newest = champions.get_champion(MODE)
    assert newest is not None
    assert newest.id == ids[-1]
