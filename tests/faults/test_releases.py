"""Publications and promotions that are killed leave a consistent registry."""

from pathlib import Path

import pytest

from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import Release, open_release
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.processes import KILLED, Fuse, exit_code
from tests.support.releases import FILES, draft, write_files

MODE = Mode.PHOTOMETRIC
CHALLENGER = draft(run_id="challenger")
MOMENT_AFTER_MANIFEST = 2 * len(FILES) + 1  # moments before and after every write, from 0


def publish_until(moment: int, settings: Settings, folder: Path) -> None:
    """Publish in a child process and exit at the given moment."""
    ObjectStore.put = Fuse(moment).around(ObjectStore.put)
    LocalChampionStore(ObjectStore(settings)).registry.publish(CHALLENGER, write_files(folder))


def promote_until(moment: int, settings: Settings, release: Release) -> None:
    """Promote in a child process and exit at the given moment."""
    ObjectStore.put = Fuse(moment).around(ObjectStore.put)
    LocalChampionStore(ObjectStore(settings)).promote(release, "better", "run-2")


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


@pytest.mark.parametrize("moment", range(MOMENT_AFTER_MANIFEST))
def test_publication_killed_before_the_manifest_leaves_no_release(
    moment: int,
    champions: LocalChampionStore,
    champion: Release,
    settings: Settings,
    tmp_path: Path,
) -> None:
    assert exit_code(publish_until, moment, settings, tmp_path) == KILLED
    assert champions.registry.list_releases(MODE) == [champion]
    assert champions.get_champion(MODE) == champion

    again = champions.registry.publish(CHALLENGER, write_files(tmp_path))
    assert again in champions.registry.list_releases(MODE)
    assert len(champions.registry.list_releases(MODE)) == 2


def test_publication_killed_after_the_manifest_leaves_a_complete_release(
    champions: LocalChampionStore, champion: Release, settings: Settings, tmp_path: Path
) -> None:
    assert exit_code(publish_until, MOMENT_AFTER_MANIFEST, settings, tmp_path) == KILLED
    [published] = [each for each in champions.registry.list_releases(MODE) if each != champion]
    champions.registry.download(published, tmp_path / "copy")
    assert open_release(tmp_path / "copy").manifest.run_id == "challenger"
    assert champions.get_champion(MODE) == champion


@pytest.mark.parametrize(("moment", "promoted"), [(0, False), (1, True)])
def test_killed_promotion_is_atomic(
    moment: int,
    promoted: bool,
    champions: LocalChampionStore,
    champion: Release,
    settings: Settings,
    tmp_path: Path,
) -> None:
    challenger = champions.registry.publish(CHALLENGER, write_files(tmp_path))
    assert exit_code(promote_until, moment, settings, challenger) == KILLED
    assert champions.get_champion(MODE) == (challenger if promoted else champion)
    assert len(champions.list_promotions(MODE)) == 1 + promoted
