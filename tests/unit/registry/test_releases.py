"""Publishing, finding and verifying releases."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from skyclass.errors import ReleaseError
from skyclass.registry.manifest import FileEntry
from skyclass.registry.releases import MANIFEST, Registry, Release, open_release, parse_release
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import Mode
from tests.support.releases import FILES, draft, write_files

MODE = Mode.PHOTOMETRIC
NOW = datetime(2026, 1, 1, tzinfo=UTC)
Publish = Callable[..., Release]


def parse(data: bytes) -> Release:
    return parse_release(data, sha256(data).hexdigest())


@pytest.fixture
def registry(store: ObjectStore) -> Registry:
    return Registry(store)


@pytest.fixture
def publish(registry: Registry, tmp_path: Path) -> Publish:
    """Return a function that publishes a release; each is one day newer than the previous one."""
    days = iter(range(100))

    def publish(mode: Mode = MODE) -> Release:
        manifest = draft(mode, created_at=NOW + timedelta(days=next(days)))
        return registry.publish(manifest, write_files(tmp_path / "to publish"))

    return publish


def put(store: ObjectStore, release: Release, path: str, data: bytes) -> None:
    store.put(store.settings.models_bucket, release.prefix + path, data, "")


def test_published_release_is_read_back_unchanged(registry: Registry, publish: Publish) -> None:
    release = publish()
    assert registry.list_releases(MODE) == [release]
    assert registry.find(release.id) == release
    assert {entry.path for entry in release.manifest.files} == set(FILES)


def test_publish_is_idempotent(registry: Registry, tmp_path: Path) -> None:
    files = write_files(tmp_path)
    assert registry.publish(draft(), files) == registry.publish(draft(), files)
    assert len(registry.list_releases(MODE)) == 1


def test_releases_of_a_mode_are_listed_oldest_first(registry: Registry, publish: Publish) -> None:
    first, other, second = publish(), publish(Mode.SPECTROSCOPIC), publish()
    assert registry.list_releases(MODE) == [first, second]
    assert registry.list_releases(Mode.SPECTROSCOPIC) == [other]


def test_find_accepts_a_prefix_of_the_id(registry: Registry, publish: Publish) -> None:
    for release in (publish(), publish(Mode.SPECTROSCOPIC)):
        assert registry.find(release.id[:6]) == release


@pytest.mark.parametrize(
    ("abbreviation", "message"),
    [
        ("", "give at least 6 characters"),
        ("abcde", "give at least 6 characters"),
        ("abcdef", "no release begins with abcdef: see `skyclass releases`"),
        ("../../../x", "no release begins"),
    ],
)
def test_find_rejects_an_unknown_or_short_prefix(
    abbreviation: str, message: str, registry: Registry, publish: Publish
) -> None:
    publish()
    with pytest.raises(ReleaseError, match=message):
        registry.find(abbreviation)


def test_find_rejects_an_ambiguous_prefix(registry: Registry, store: ObjectStore) -> None:
    for ending in ("0", "1"):
        key = f"releases/{MODE}/abcdef{ending * 58}/{MANIFEST}"
        store.put(store.settings.models_bucket, key, b"", "")
    with pytest.raises(ReleaseError, match="2 releases begin with abcdef"):
        registry.find("abcdef")


def test_release_without_a_manifest_is_ignored(registry: Registry, store: ObjectStore) -> None:
    key = f"releases/{MODE}/{'ab' * 32}/model.joblib"
    store.put(store.settings.models_bucket, key, b"a publisher was killed", "")
    assert registry.list_releases(MODE) == []
    with pytest.raises(ReleaseError, match="abababababab has no manifest"):
        registry.find("abababab")


@pytest.mark.parametrize("path", FILES)
def test_download_rejects_a_modified_file_by_name(
    path: str, registry: Registry, publish: Publish, store: ObjectStore, tmp_path: Path
) -> None:
    release = publish()
    flipped = bytearray((tmp_path / "to publish" / path).read_bytes())
    flipped[7] ^= 1
    put(store, release, path, bytes(flipped))
    with pytest.raises(ReleaseError, match=rf"^{path}: .* do not serve it"):
        registry.download(release, tmp_path / "copy")
    assert not (tmp_path / "copy" / path).exists()


def test_download_reports_a_missing_file_by_name(
    registry: Registry, store: ObjectStore, tmp_path: Path
) -> None:
    entry = FileEntry(path="model.onnx", size=1, sha256="")
    release = parse(draft(files=(entry,)).to_bytes())
    put(store, release, MANIFEST, release.manifest.to_bytes())
    with pytest.raises(ReleaseError, match=rf"^release {release.id[:12]}: model\.onnx is missing"):
        registry.download(registry.find(release.id), tmp_path)


def test_modified_manifest_is_rejected(
    registry: Registry, publish: Publish, store: ObjectStore
) -> None:
    release = publish()
    forged = release.manifest.to_bytes().replace(b'"forest"', b'"rocket"')
    put(store, release, MANIFEST, forged)
    for read in (lambda: registry.list_releases(MODE), lambda: registry.find(release.id)):
        with pytest.raises(ReleaseError, match=f"{release.id[:12]}: its manifest was modified"):
            read()


def test_downloaded_release_opens_unchanged(
    registry: Registry, publish: Publish, tmp_path: Path
) -> None:
    release = publish()
    registry.download(release, tmp_path / "copy")
    assert open_release(tmp_path / "copy") == release


@pytest.fixture
def folder(registry: Registry, publish: Publish, tmp_path: Path) -> Path:
    """A folder with a downloaded release, as in a predictor."""
    registry.download(publish(), tmp_path / "release")
    return tmp_path / "release"


@pytest.mark.parametrize("path", FILES)
def test_open_release_rejects_a_flipped_byte(path: str, folder: Path) -> None:
    data = bytearray((folder / path).read_bytes())
    data[-1] ^= 1
    (folder / path).write_bytes(data)
    with pytest.raises(ReleaseError, match=rf"^{path}: .* do not serve it"):
        open_release(folder)


def test_open_release_rejects_a_longer_file(folder: Path) -> None:
    with (folder / "model.joblib").open("ab") as file:
        file.write(b"more")
    with pytest.raises(ReleaseError, match=r"^model\.joblib: more than \d+ bytes"):
        open_release(folder)


@pytest.mark.parametrize("path", [*FILES, MANIFEST])
def test_open_release_reports_a_missing_file_by_name(path: str, folder: Path) -> None:
    (folder / path).unlink()
    with pytest.raises(ReleaseError, match=f"{path}: the file is missing: check that storageUri"):
        open_release(folder)


def test_open_release_reports_a_file_in_place_of_the_folder(folder: Path) -> None:
    with pytest.raises(ReleaseError, match=f"{MANIFEST}/{MANIFEST}: Not a directory: check that"):
        open_release(folder / MANIFEST)


def test_manifest_round_trip() -> None:
    assert parse(draft().to_bytes()).manifest == draft()


@pytest.mark.parametrize(
    ("good", "bad", "field"),
    [
        (b'"run_id"', b'"surprise": 1, "run_id"', "surprise"),
        (b'"run_id": "test",', b"", "run_id"),
        (b'"photometric"', b'"radio"', "mode"),
        (b"0.9", b"NaN", "gate.challenger_macro_f1"),
        (b"}", b"", "Invalid JSON"),
        (b'"files": []', b'"files": [{"path": "../x", "size": 1, "sha256": ""}]', "files.0.path"),
        (b'"files": []', b'"files": [{"path": "/etc/x", "size": 1, "sha256": ""}]', "files.0.path"),
    ],
)
def test_malformed_manifest_is_rejected_by_field(good: bytes, bad: bytes, field: str) -> None:
    data = draft().to_bytes()
    assert good in data
    with pytest.raises(
        ReleaseError, match=f"not a valid manifest of this version .*{field}"
    ) as error:
        parse(data.replace(good, bad))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["latest", "ab" * 31, "AB" * 32, ""])
def test_malformed_release_id_is_rejected(name: str) -> None:
    with pytest.raises(ReleaseError, match="is not a release id"):
        parse_release(draft().to_bytes(), name)


def test_manifest_with_another_digest_is_rejected() -> None:
    with pytest.raises(ReleaseError, match="its manifest was modified"):
        parse_release(draft().to_bytes(), "ab" * 32)


def test_file_path_with_a_folder_is_rejected() -> None:
    with pytest.raises(ValueError, match="pattern"):
        FileEntry(path="../model.joblib", size=1, sha256="")
