from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from skyclass.admin.bootstrap import FirstRelease, bootstrap
from skyclass.errors import StoreError, TrainingError
from skyclass.orchestration.local_runner import LocalRun
from skyclass.promotion.events import Promotion
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.releases import Release
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.releases import draft, write_files

pytestmark = pytest.mark.slow

MODES = [Mode.PHOTOMETRIC, Mode.SPECTROSCOPIC]


class Training:
    """Stands in for `run_training`: publishes a small release, and may promote it."""

    def __init__(self, champions: LocalChampionStore, folder: Path, promotes: bool = True) -> None:
        self.champions, self.folder, self.promotes = champions, folder, promotes
        self.parameters: list[dict[str, str]] = []

    def __call__(
        self, parameters: Mapping[str, str], runs: Path, on_step: Callable[[str], None]
    ) -> LocalRun:
        self.parameters.append(dict(parameters))
        mode = Mode(parameters["mode"])
        release = self.champions.registry.publish(draft(mode), write_files(self.folder / mode))
        if self.promotes:
            self.champions.promote(release, parameters["reason"], "test")
        return LocalRun(release.id, self.promotes, "below the floor", runs / "log.txt")


@pytest.fixture
def champions(store: ObjectStore) -> LocalChampionStore:
    return LocalChampionStore(store)


def test_each_mode_gets_a_champion(champions: LocalChampionStore, tmp_path: Path) -> None:
    training = Training(champions, tmp_path)

    done = bootstrap(
        champions,
        champions.registry,
        MODES,
        {"seed": "7"},
        training,
        tmp_path,
        readiness_timeout_seconds=0,
    )

    for mode, first in zip(MODES, done, strict=True):
        champion = champions.get_champion(mode)
        assert champion is not None
        assert first == FirstRelease(mode, champion.id, made=True)
    assert [given["seed"] for given in training.parameters] == ["7", "7"]
    assert all(type(given["mode"]) is str for given in training.parameters)  # as KFP wants it


def test_existing_champion_is_kept(champions: LocalChampionStore, tmp_path: Path) -> None:
    training = Training(champions, tmp_path)
    first = bootstrap(
        champions, champions.registry, MODES, {}, training, tmp_path, readiness_timeout_seconds=0
    )

    again = bootstrap(
        champions, champions.registry, MODES, {}, training, tmp_path, readiness_timeout_seconds=0
    )

    assert [each.release for each in again] == [each.release for each in first]
    assert not any(each.made for each in again)
    assert len(training.parameters) == len(MODES)


class UnservedChampions(LocalChampionStore):
    """Champions of a cluster without an InferenceService, as after a restore."""

    is_served = False

    def get_champion(self, mode: Mode) -> Release | None:
        return super().get_champion(mode) if self.is_served else None

    def promote(
        self, release: Release, reason: str, run_id: str, approved_by: str | None = None
    ) -> Promotion:
        self.is_served = True
        return super().promote(release, reason, run_id, approved_by)


def test_last_champion_is_served_again_instead_of_training(
    champions: LocalChampionStore, store: ObjectStore, tmp_path: Path
) -> None:
    training, mode = Training(champions, tmp_path), Mode.PHOTOMETRIC
    for seed in ("a", "b"):
        release = champions.registry.publish(draft(mode, run_id=seed), write_files(tmp_path / seed))
        champions.promote(release, "for a test", seed)
    unserved = UnservedChampions(store)

    (done,) = bootstrap(
        unserved, champions.registry, [mode], {}, training, tmp_path, readiness_timeout_seconds=0
    )

    assert done == FirstRelease(mode, release.id, made=False)
    assert unserved.is_served
    assert not training.parameters
    assert champions.list_promotions(mode)[-1].reason.startswith("restored: it was promoted at ")
    assert champions.get_rollback_target(mode).manifest.run_id == "a"


def test_release_that_is_not_promoted_is_an_error(
    champions: LocalChampionStore, tmp_path: Path
) -> None:
    training = Training(champions, tmp_path, promotes=False)

    with pytest.raises(TrainingError, match=r"not promoted \(below the floor\).*skyclass promote"):
        bootstrap(
            champions,
            champions.registry,
            MODES,
            {},
            training,
            tmp_path,
            readiness_timeout_seconds=0,
        )


def test_store_that_is_never_ready_is_an_error(settings: Settings, tmp_path: Path) -> None:
    nowhere = settings.model_copy(
        update={"models_bucket": "was-never-made", "s3_retries": 0, "s3_connect_seconds": 0.5}
    )
    champions = LocalChampionStore(ObjectStore(nowhere))

    with pytest.raises(StoreError, match="the bucket does not exist"):
        bootstrap(
            champions,
            champions.registry,
            MODES,
            {},
            Training(champions, tmp_path),
            tmp_path,
            readiness_timeout_seconds=0,
        )
