"""A publisher that is killed leaves no release, and never another champion."""

from pathlib import Path

import pytest

from skyclass.registry.releases import Registry, Release, open_release
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.processes import KILLED, Fuse, exit_code
from tests.support.releases import FILES, draft, write_files

MODE = Mode.PHOTOMETRIC
CHALLENGER = draft(run_id="challenger")
AFTER_THE_MANIFEST = 2 * len(FILES) + 1  # a moment before and after every write, from 0


def publish_until(moment: int, settings: Settings, folder: Path) -> None:
    """What a child does: publish, and die on the way."""
    ObjectStore.put = Fuse(moment).around(ObjectStore.put)
    Registry(ObjectStore(settings)).publish(CHALLENGER, write_files(folder))


def promote_until(moment: int, settings: Settings, release: Release) -> None:
    """What a child does: promote, and die on the way."""
    ObjectStore.put = Fuse(moment).around(ObjectStore.put)
    Registry(ObjectStore(settings)).promote(release, "better", "run-2")


@pytest.fixture
def registry(store: ObjectStore) -> Registry:
    return Registry(store)


@pytest.fixture
def champion(registry: Registry, tmp_path: Path) -> Release:
    release = registry.publish(draft(run_id="champion"), write_files(tmp_path / "champion"))
    registry.promote(release, "first of its mode", "run-1")
    return release


@pytest.mark.parametrize("moment", range(AFTER_THE_MANIFEST))
def test_a_kill_before_the_manifest_leaves_no_release(
    moment: int, registry: Registry, champion: Release, settings: Settings, tmp_path: Path
) -> None:
    assert exit_code(publish_until, moment, settings, tmp_path) == KILLED
    assert registry.releases(MODE) == [champion]
    assert registry.champion(MODE) == champion

    again = registry.publish(CHALLENGER, write_files(tmp_path))
    assert again in registry.releases(MODE)
    assert len(registry.releases(MODE)) == 2


def test_a_kill_after_the_manifest_leaves_a_whole_release_that_is_not_champion(
    registry: Registry, champion: Release, settings: Settings, tmp_path: Path
) -> None:
    assert exit_code(publish_until, AFTER_THE_MANIFEST, settings, tmp_path) == KILLED
    [published] = [each for each in registry.releases(MODE) if each != champion]
    registry.download(published, tmp_path / "copy")
    assert open_release(tmp_path / "copy").manifest.run_id == "challenger"
    assert registry.champion(MODE) == champion


@pytest.mark.parametrize(("moment", "promoted"), [(0, False), (1, True)])
def test_a_killed_promotion_has_happened_or_has_not(
    moment: int,
    promoted: bool,
    registry: Registry,
    champion: Release,
    settings: Settings,
    tmp_path: Path,
) -> None:
    challenger = registry.publish(CHALLENGER, write_files(tmp_path))
    assert exit_code(promote_until, moment, settings, challenger) == KILLED
    assert registry.champion(MODE) == (challenger if promoted else champion)
    assert len(registry.promotions(MODE)) == 1 + promoted
