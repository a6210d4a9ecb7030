"""A signature holds for exactly the files that were signed, and for one key."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from skyclass.errors import ReleaseError, StoreError
from skyclass.registry.releases import JOBLIB_MODEL, MANIFEST, Registry
from skyclass.registry.signatures import SIGNATURE, sign, verify
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore
from tests.support.keys import KeyPair, make_key_pair
from tests.support.releases import draft, write_files

pytestmark = pytest.mark.slow

FILES = {MANIFEST: b"{}", JOBLIB_MODEL: b"a model"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return make_key_pair(tmp_path_factory.mktemp("keys") / "ours")


@pytest.fixture
def folder(tmp_path: Path, keys: KeyPair) -> Path:
    """A folder with a signed release."""
    for name, data in {**FILES, SIGNATURE: sign(FILES, keys.private)}.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_signed_release_is_verified(folder: Path, keys: KeyPair) -> None:
    verify(folder, keys.public)
    verify(folder, keys.public.read_text())


def test_model_signing_command_verifies_the_signature(folder: Path, keys: KeyPair) -> None:
    signature = folder / SIGNATURE
    options = ["--signature", signature, "--ignore-paths", signature, "--public_key", keys.public]
    command = [sys.executable, "-m", "model_signing", "verify", "key", folder, *options]
    assert subprocess.run(command, capture_output=True).returncode == 0
    (folder / MANIFEST).write_bytes(b"[]")
    assert subprocess.run(command, capture_output=True).returncode == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: (folder / MANIFEST).write_bytes(b"[]"), "Hash mismatch for 'manifest"),
        (lambda folder: (folder / JOBLIB_MODEL).unlink(), "Missing files"),
        (lambda folder: (folder / "more").write_bytes(b""), "Extra files"),
        (lambda folder: (folder / SIGNATURE).unlink(), "is not signed"),
    ],
    ids=["modified file", "missing file", "extra file", "no signature"],
)
def test_any_modification_is_detected(
    folder: Path, keys: KeyPair, change: Callable[[Path], object], reason: str
) -> None:
    change(folder)
    with pytest.raises(ReleaseError, match=reason):
        verify(folder, keys.public)


@pytest.mark.parametrize(
    "signature", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"verificationMaterial": {}}']
)
def test_malformed_signature_is_rejected(folder: Path, keys: KeyPair, signature: bytes) -> None:
    (folder / SIGNATURE).write_bytes(signature)
    with pytest.raises(ReleaseError, match="do not serve it"):
        verify(folder, keys.public)


def test_signature_of_another_key_is_rejected(folder: Path, tmp_path: Path) -> None:
    others = make_key_pair(tmp_path.parent / f"{tmp_path.name}-keys")
    with pytest.raises(ReleaseError, match="Key mismatch"):
        verify(folder, others.public)


def test_file_that_is_not_a_key_is_reported_by_name(folder: Path, keys: KeyPair) -> None:
    for file in (keys.private, folder / MANIFEST, folder / "nothing"):
        with pytest.raises(ReleaseError, match=f"^{file} is not a key to verify with"):
            verify(folder, file)
    with pytest.raises(StoreError, match=f"^{keys.public} is not a key to sign with"):
        sign(FILES, keys.public)


def test_text_that_is_not_a_key_is_not_quoted(folder: Path, keys: KeyPair) -> None:
    text = keys.private.read_text()
    with pytest.raises(ReleaseError, match=r"^the configured public key is not a key") as error:
        verify(folder, text)
    assert text.splitlines()[1] not in str(error.value)


def test_publish_signs_the_release(
    store: ObjectStore, settings: Settings, keys: KeyPair, tmp_path: Path
) -> None:
    signing = ObjectStore(settings.model_copy(update={"signing_key": keys.private}))
    release = Registry(signing).publish(draft(), write_files(tmp_path / "files"))
    Registry(store).download(release, tmp_path / "copy")
    verify(tmp_path / "copy", keys.public)
