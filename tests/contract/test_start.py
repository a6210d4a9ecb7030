"""The server starts with an intact release only, else it exits with a one-line message."""

import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from skyclass.errors import ReleaseError, ServingError
from skyclass.promotion.local import LocalChampionStore
from skyclass.registry.libraries import get_library_versions
from skyclass.registry.manifest import OnnxParity
from skyclass.registry.releases import (
    JOBLIB_MODEL,
    MANIFEST,
    ONNX_MODEL,
    Registry,
    Release,
    open_release,
)
from skyclass.registry.signatures import SIGNATURE
from skyclass.serving import loading
from skyclass.serving import server as server_module
from skyclass.serving.loading import CACHE, fetch_release, load_release, resolve_release
from skyclass.serving.reload import ChampionWatcher
from skyclass.serving.settings import ServingSettings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import FEATURES, Mode
from tests.support.keys import make_key_pair
from tests.support.predictor import START_SECONDS, Site, publish, serving, start
from tests.support.releases import draft

pytestmark = pytest.mark.slow

MODE = Mode.PHOTOMETRIC

LOAD_MODEL = """
import sys
from pathlib import Path
import skyclass.serving.server
from skyclass.serving.loading import VerifiedFolder, load_release
from skyclass.survey.features import Mode
load_release(VerifiedFolder.open(Path(sys.argv[1])), Mode(sys.argv[2]))
print(*sys.modules)
"""
NEEDLESS_PACKAGES = {
    *("astropy", "deltalake", "fastapi", "kserve", "kubernetes", "matplotlib"),
    *("pandas", "scipy", "sklearn"),
}
"""Each would add 0.1 to 1 s to the start of a predictor with an ONNX model, and 10 to 70 MB."""


@pytest.fixture(scope="module")
def release(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Release:
    return publish(site, tmp_path_factory.mktemp("files"), MODE, seed=0)


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize("name", [JOBLIB_MODEL, ONNX_MODEL])
def test_start_fails_with_one_line_after_a_flipped_byte(
    site: Site, release: Release, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "models"
    site.registry.download(release, folder)
    (folder / name).write_bytes(flip((folder / name).read_bytes()))
    server = start(site, MODE, folder, tmp_path / "log")
    assert server.process.wait(START_SECONDS) == 1
    assert server.log.startswith(f"error: {name}: ")
    assert "do not serve it" in server.log
    assert len(server.log.splitlines()) == 1


@pytest.mark.parametrize("name", [JOBLIB_MODEL, ONNX_MODEL, MANIFEST])
def test_a_flipped_byte_in_the_object_store_is_detected(
    site: Site, tmp_path: Path, name: str
) -> None:
    other = publish(site, tmp_path / "files", MODE, seed=1, run_id=name)
    bucket, key = site.settings.models_bucket, other.prefix + name
    site.store.put(bucket, key, flip(site.store.get(bucket, key)), "application/octet-stream")
    with pytest.raises(ReleaseError, match="manifest" if name == MANIFEST else f"^{name}: "):
        resolve_release(f"s3://{bucket}/{other.prefix}", site.settings)


def test_the_cached_copy_is_reused_unless_it_is_damaged(site: Site, release: Release) -> None:
    folder = fetch_release(release, site.registry, site.settings.home).path
    assert folder == site.settings.home / CACHE / release.id
    before = (folder / ONNX_MODEL).stat().st_mtime_ns
    fetch_release(release, site.registry, site.settings.home)
    assert (folder / ONNX_MODEL).stat().st_mtime_ns == before

    (folder / ONNX_MODEL).write_bytes(b"damaged")
    again = fetch_release(release, site.registry, site.settings.home)
    assert load_release(again, MODE).engine_name == "onnx"
    assert [each.name for each in folder.parent.iterdir() if "." in each.name] == []


def test_a_cached_release_is_hashed_once(
    site: Site, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_release(release, site.registry, site.settings.home)
    hashed: list[Path] = []

    def count(folder: Path) -> Release:
        hashed.append(folder)
        return open_release(folder)

    monkeypatch.setattr(loading, "open_release", count)
    address = f"s3://{site.settings.models_bucket}/{release.prefix}"
    load_release(resolve_release(address, site.settings), MODE)
    assert hashed == [site.settings.home / CACHE / release.id]


def test_only_the_expected_release_is_served(site: Site, release: Release, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    site.registry.download(release, folder)
    with serving(site, MODE, folder, tmp_path / "log", expected_release=release.id) as server:
        assert server.stop() == 0

    server = start(site, MODE, folder, tmp_path / "log", expected_release="ab" * 32)
    assert server.process.wait(START_SECONDS) == 1
    assert server.log.startswith(
        f"error: the release in {folder} is {release.id[:12]}, expected abab"
    )
    assert len(server.log.splitlines()) == 1


def test_with_a_public_key_only_releases_signed_with_it_are_served(
    site: Site, tmp_path: Path
) -> None:
    keys = [make_key_pair(tmp_path / name) for name in ("ours", "theirs")]
    signing = site.settings.model_copy(update={"signing_key": keys[0].private})
    signed = publish(
        replace(site, registry=Registry(ObjectStore(signing))), tmp_path / "files", MODE, seed=4
    )
    address = f"s3://{site.settings.models_bucket}/{signed.prefix}"
    for key in (keys[0].public, keys[0].public.read_text()):
        with serving(site, MODE, address, tmp_path / "log", public_key=key) as server:
            assert server.stop() == 0

    folder = resolve_release(address, site.settings)
    with pytest.raises(ReleaseError, match="does not match its signature"):
        load_release(folder, MODE, public_key=keys[1].public)
    (folder.path / SIGNATURE).unlink()
    with pytest.raises(ReleaseError, match="is not signed, and a public key is configured"):
        load_release(folder, MODE, public_key=keys[0].public)


@pytest.mark.parametrize("onnx", [True, False])
@pytest.mark.parametrize(
    ("library", "version"), [("scikit-learn", "1.5.2"), ("numpy", "1.26.4"), ("joblib", "2.0.0")]
)
def test_a_pickle_from_other_library_versions_is_not_loaded(
    site: Site, tmp_path: Path, onnx: bool, library: str, version: str
) -> None:
    libraries = get_library_versions() | {library: version}
    other = publish(site, tmp_path / "files", MODE, seed=2, onnx=onnx, libraries=libraries)
    folder = fetch_release(other, site.registry, site.settings.home)
    if onnx:
        assert load_release(folder, MODE).engine_name == "onnx"
    else:
        with pytest.raises(ReleaseError, match=rf"pickled with {library} {version}, installed is"):
            load_release(folder, MODE)


@pytest.mark.parametrize("onnx", [True, False])
def test_a_model_that_cannot_run_is_rejected(site: Site, tmp_path: Path, onnx: bool) -> None:
    files = {name: tmp_path / name for name in (JOBLIB_MODEL, ONNX_MODEL)}
    (tmp_path / ONNX_MODEL).write_bytes(b"no model")
    (tmp_path / JOBLIB_MODEL).write_bytes(b"cnowhere\nNothing\n.")
    parity = OnnxParity(passed=onnx, reason="for a test")
    manifest = draft(MODE, parity=parity, libraries=get_library_versions())
    other = site.registry.publish(manifest, files)
    with pytest.raises(ReleaseError, match="cannot run here"):
        load_release(fetch_release(other, site.registry, site.settings.home), MODE)


def test_a_model_of_another_mode_or_other_features_is_rejected(
    site: Site, release: Release, tmp_path: Path
) -> None:
    folder = fetch_release(release, site.registry, site.settings.home)
    with pytest.raises(ReleaseError, match="is photometric, this server is spectroscopic"):
        load_release(folder, Mode.SPECTROSCOPIC)
    features = (*FEATURES[MODE][1:], FEATURES[MODE][0])
    other = publish(site, tmp_path / "files", MODE, seed=3, features=features)
    with pytest.raises(ReleaseError, match="other features or classes"):
        load_release(fetch_release(other, site.registry, site.settings.home), MODE)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("/nowhere/at/all", "the file is missing"),
        ("s3://{bucket}/releases/photometric/{id}/extra/", "give at least 6"),
        ("s3://{bucket}/releases/spectroscopic/{id}/", r"is not a release: use s3://.*photometric"),
        ("s3://{bucket}/releases/photometric/ffffffffffff/", "no release begins with"),
        ("s3://{bucket}", "give at least 6 characters"),
    ],
)
def test_a_uri_without_a_release_is_reported(
    site: Site, release: Release, address: str, reason: str
) -> None:
    address = address.format(bucket=site.settings.models_bucket, id=release.id)
    with pytest.raises(ReleaseError, match=reason):
        load_release(resolve_release(address, site.settings), MODE)


def test_a_missing_champion_is_reported(site: Site) -> None:
    champions = LocalChampionStore(site.store)
    watcher = ChampionWatcher(champions, MODE, site.settings.home, ServingSettings())
    with pytest.raises(ReleaseError, match="no photometric release has been promoted: train one"):
        watcher.load_champion()


def test_a_port_in_use_is_reported(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServingError, match=f"cannot listen on 127.0.0.1, port {port}"):
            server_module.serve(site.settings, MODE, port=port)


def test_a_predictor_with_an_onnx_model_imports_only_what_it_needs(
    site: Site, release: Release, tmp_path: Path
) -> None:
    site.registry.download(release, tmp_path / "release")
    done = subprocess.run(
        [sys.executable, "-c", LOAD_MODEL, tmp_path / "release", MODE],
        capture_output=True,
        check=True,
        text=True,
    )
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    assert "onnxruntime" in imported
    assert imported & NEEDLESS_PACKAGES == set()
