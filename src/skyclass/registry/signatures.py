"""Signatures of releases: OpenSSF Model Signing with an elliptic-curve key.

A signature covers every file of a release and is stored beside them; `model_signing verify key`
reads it too. The id of a release authenticates its bytes, a signature authenticates its publisher.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from skyclass.errors import ReleaseError, StoreError, one_line

SIGNATURE = "model.sig"
"""File name of the signature. The manifest cannot list it: the manifest is signed too."""


def sign(files: Mapping[str, bytes], private_key: Path) -> bytes:
    """Return the signature of a release.

    Args:
        files: All files of the release, the manifest included, by their path within it.
        private_key: PEM file.

    Raises:
        StoreError: The key is not usable.
    """
    from model_signing import signing

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "release"
        folder.mkdir()
        for path, data in files.items():
            (folder / path).write_bytes(data)
        signature = Path(name) / SIGNATURE
        try:
            signer = signing.Config().use_elliptic_key_signer(private_key=private_key)
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{private_key} is not a key to sign with ({one_line(error)}): set "
                "SKYCLASS_SIGNING_KEY to a PEM file with an elliptic-curve private key, or unset it"
            ) from error
        signer.sign(folder, signature)
        return signature.read_bytes()


def verify(folder: Path, public_key: str | Path) -> None:
    """Verify that a release was signed with the private half of a key.

    Args:
        folder: Folder with the files of the release and no others.
        public_key: PEM file, or its text.

    Raises:
        ReleaseError: It was not, or the key is not usable.
    """
    from cryptography.exceptions import InvalidSignature
    from model_signing import hashing, verifying

    signature = folder / SIGNATURE
    if not signature.exists():
        raise ReleaseError(
            f"{signature} is missing: the release is not signed, and a public key is configured: "
            "publish it again with SKYCLASS_SIGNING_KEY"
        )
    name = "the configured public key" if _is_text(public_key) else public_key
    try:
        with _open_key(public_key) as file:
            verifier = verifying.Config().use_elliptic_key_verifier(public_key=file)
    except (OSError, ValueError) as error:
        raise ReleaseError(
            f"{name} is not a key to verify with ({one_line(error)}): configure a PEM file "
            "with an elliptic-curve public key, or its text"
        ) from error
    verifier.set_hashing_config(hashing.Config().set_ignored_paths(paths=[signature]))
    try:
        verifier.verify(folder, signature)
    except (InvalidSignature, KeyError, TypeError, ValueError) as error:  # malformed JSON too
        raise ReleaseError(
            f"the release in {folder} does not match its signature and {name} "
            f"({one_line(error) or type(error).__name__}): do not serve it, publish it again"
        ) from error


def _is_text(public_key: str | Path) -> bool:
    return str(public_key).startswith("-----BEGIN ")


@contextmanager
def _open_key(public_key: str | Path) -> Iterator[Path]:
    """Yield the file of a key, which is the only form that model_signing reads."""
    if not _is_text(public_key):
        yield Path(public_key)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "public.pem"
        file.write_text(str(public_key))
        yield file
