"""A damaged release is neither promoted nor served, and the release in service stays there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from skyclass.errors import ReleaseError
from skyclass.local.s3_server import Access
from skyclass.promotion.events import PromotionLog
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.digests import compute_digest
from skyclass.registry.releases import (
    JOBLIB_MODEL,
    MANIFEST,
    ONNX_MODEL,
    REFERENCE,
    RELEASES_PREFIX,
    Release,
)
from skyclass.survey.features import INPUTS, Mode
from tests.support.faults.history import History
from tests.support.predictor import ServerProcess, Site, eventually, publish, serving, simulated

MODE = Mode.SPECTROSCOPIC
FILES = (JOBLIB_MODEL, ONNX_MODEL, REFERENCE)
MEBIBYTE = 2**20


@dataclass
class World:
    """A predictor that follows the champion, and the releases that it may serve.

    Attributes:
        site: Buckets of the module.
        server: The predictor.
        champions: The champions.
        files: The files of all releases.
        champion: The release that is served.
    """

    site: Site
    server: ServerProcess
    champions: LocalChampionStore
    files: dict[str, Path]
    champion: Release

    def publish(self, run_id: str) -> Release:
        """Publish the same model as the release of another run."""
        manifest = self.champion.manifest.model_copy(update={"run_id": run_id})
        return self.site.registry.publish(manifest, self.files)

    def read(self, release: Release, name: str) -> bytes:
        return self.site.store.get(self.site.settings.models_bucket, release.prefix + name)

    def write(self, release: Release, name: str, data: bytes) -> None:
        """Replace a file of a stored release."""
        self.write_key(release.prefix + name, data)

    def write_key(self, key: str, data: bytes) -> None:
        self.site.store.put(self.site.settings.models_bucket, key, data, "")

    def forge(self, mode: Mode, manifest: bytes) -> str:
        """Store a manifest with the champion's files under its own id, and return the id."""
        release_id = compute_digest(manifest)
        prefix = f"{RELEASES_PREFIX}/{mode}/{release_id}/"
        for name in FILES:
            self.write_key(prefix + name, self.read(self.champion, name))
        self.write_key(prefix + MANIFEST, manifest)
        return release_id

    def get_served_release(self) -> str:
        """Classify an object, and return the release that did."""
        rows = simulated(1)[list(INPUTS[MODE])].to_numpy().tolist()
        return str(self.server.predict(rows)["model_version"])

    def wait_until_served(self, release: Release) -> None:
        eventually(lambda: self.get_served_release() == release.id, 30)
        self.champion = release


@pytest.fixture(scope="module")
def world(s3: Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("releases")
    site = Site.make(s3, folder / "home")
    champion = publish(site, folder, MODE, seed=1)
    champions = LocalChampionStore(site.store)
    champions.promote(champion, "first of its mode", "test")
    with serving(site, MODE, None, folder / "log", follow_seconds=0.1) as server:
        yield World(site, server, champions, {name: folder / name for name in FILES}, champion)


def promote_damaged(world: World, release_id: str, history: History) -> None:
    """Record the promotion of a damaged release, as a tool without checks does.

    The predictor must say why it does not serve it, in one line, and go on serving.
    """
    log_length = len(world.server.log)
    PromotionLog(world.site.store).append(MODE, world.champion.id, release_id, "damaged", "test")
    stays = f"release {world.champion.id[:12]} stays in service: "
    eventually(lambda: stays in world.server.log[log_length:], 30)
    assert "Traceback" not in world.server.log
    assert world.get_served_release() == world.champion.id
    history.fire(f"release {release_id[:12]} was damaged and promoted")
    history.acknowledge(release_id)


def find_promoted(world: World, since: int) -> list[str]:
    """Return the releases of the promotions since a number of them."""
    return [event.to_release for event in world.champions.list_promotions(MODE)[since:]]


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.fault("corrupt-model")
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(flip, id="a flipped bit"),
        pytest.param(lambda data: data[: len(data) // 2], id="truncated"),
        pytest.param(lambda data: b"", id="empty"),
    ],
)
def test_corrupt_file_is_not_served_until_it_is_repaired(
    name: str,
    damage: Callable[[bytes], bytes],
    world: World,
    history: History,
    request: pytest.FixtureRequest,
) -> None:
    release = world.publish(request.node.name)
    complete = world.read(release, name)
    world.write(release, name, damage(complete))
    promotions = len(world.champions.list_promotions(MODE))
    with pytest.raises(ReleaseError, match=f"^{name}: [^\n]*do not serve it[^\n]*$"):
        world.champions.promote(release, "better", "test")
    assert find_promoted(world, promotions) == []
    promote_damaged(world, release.id, history)

    with history.recovery():
        world.write(release, name, complete)
        world.wait_until_served(release)
    history.find(find_promoted(world, promotions))


def delete_file(world: World, release: Release) -> None:
    world.site.store.delete(world.site.settings.models_bucket, [release.prefix + ONNX_MODEL])


def swap_files(world: World, release: Release) -> None:
    world.write(release, JOBLIB_MODEL, world.read(release, ONNX_MODEL))


def enlarge_file(world: World, release: Release) -> None:
    world.write(release, ONNX_MODEL, world.read(release, ONNX_MODEL) + bytes(32 * MEBIBYTE))


def replace_manifest(world: World, release: Release) -> None:
    world.write(release, MANIFEST, world.read(world.champion, MANIFEST))


def enlarge_manifest(world: World, release: Release) -> None:
    world.write(release, MANIFEST, world.read(release, MANIFEST) + b" " * (32 * MEBIBYTE))


@pytest.mark.fault("manifest-mismatch")
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (delete_file, f"{ONNX_MODEL} is missing"),
        (swap_files, f"^{JOBLIB_MODEL}: "),
        (enlarge_file, f"^{ONNX_MODEL}: more than [0-9]+ bytes"),
        (replace_manifest, "its manifest was modified"),
        (enlarge_manifest, "its manifest was modified"),
    ],
    ids=[
        "missing file",
        "another file",
        "oversized file",
        "another manifest",
        "oversized manifest",
    ],
)
def test_release_that_differs_from_its_manifest_is_not_served(
    damage: Callable[[World, Release], None],
    reason: str,
    world: World,
    history: History,
    request: pytest.FixtureRequest,
) -> None:
    release = world.publish(request.node.name)
    damage(world, release)
    promotions = len(world.champions.list_promotions(MODE))
    with pytest.raises(ReleaseError, match=reason) as refused:
        world.champions.promote(world.site.registry.read(MODE, release.id), "better", "test")
    assert "\n" not in str(refused.value)
    promote_damaged(world, release.id, history)
    promote_another(world, request.node.name, history)
    history.find(find_promoted(world, promotions))


@pytest.mark.fault("manifest-mismatch")
@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            f'"mode": "{MODE}"',
            '"mode": "photometric"',
            "is photometric, but is stored as spectroscopic",
        ),
        (f'"path": "{ONNX_MODEL}"', '"path": "../../champion"', "should match pattern"),
        (f'"path": "{ONNX_MODEL}"', '"path": "model.exe"', "model.exe is missing"),
    ],
    ids=["another mode", "a path outside", "a file that is missing"],
)
def test_forged_manifest_is_not_served(
    old: str,
    new: str,
    reason: str,
    world: World,
    history: History,
    request: pytest.FixtureRequest,
) -> None:
    manifest = world.read(world.champion, MANIFEST)
    assert manifest.count(old.encode()) == 1
    release_id = world.forge(MODE, manifest.replace(old.encode(), new.encode()))
    promotions = len(world.champions.list_promotions(MODE))
    promote_damaged(world, release_id, history)
    assert reason in world.server.log
    promote_another(world, request.node.name, history)
    history.find(find_promoted(world, promotions))


def promote_another(world: World, run_id: str, history: History) -> None:
    """Replace a damaged champion by another release, and wait until that one is served."""
    with history.recovery():
        another = world.publish(f"another {run_id}")
        world.champions.promote(another, "better", "test")
        history.acknowledge(another.id)
        world.wait_until_served(another)


@pytest.mark.fault("manifest-mismatch")
def test_file_that_the_manifest_does_not_name_is_ignored(world: World, history: History) -> None:
    release = world.publish("an extra file")
    world.write(release, "extra.joblib", b"cposix\nsystem\n(S'touch /tmp/extra'\ntR.")
    history.fire("a release has an extra file")
    promotions = len(world.champions.list_promotions(MODE))
    world.champions.promote(release, "better", "test")
    history.acknowledge(release.id)
    with history.recovery():
        world.wait_until_served(release)
    history.find(find_promoted(world, promotions))
    cached = world.site.settings.home / "cache/releases" / release.id
    assert {path.name for path in cached.iterdir()} == {MANIFEST, *FILES}
