"""Signatures of releases: OpenSSF Model Signing with an elliptic-curve key.

A signature covers every file of a release and lies beside them, where `model_signing verify key`
finds it too. A release's address vouches for its bytes; a signature says who made them.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from skyclass.errors import ReleaseError, StoreError

SIGNATURE = "model.sig"
"""Name of the signature within a release; the manifest cannot list it, as it is signed too."""


def sign(files: Mapping[str, bytes], private_key: Path) -> bytes:
    """Sign a release.

    Args:
        files: All of its files, the manifest included, by their path in it.
        private_key: A PEM file.

    Raises:
        StoreError: The key cannot be used.
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
                f"{private_key}: no key to sign with ({_first_line(error)}): name a PEM file with "
                "an elliptic-curve private key in SKYCLASS_SIGNING_KEY, or none"
            ) from error
        signer.sign(folder, signature)
        return signature.read_bytes()


def verify(folder: Path, public_key: Path) -> None:
    """Verify that a release was signed with the private half of a key.

    Args:
        folder: The release, and nothing else.
        public_key: A PEM file.

    Raises:
        ReleaseError: It was not, or the key cannot be used.
    """
    from cryptography.exceptions import InvalidSignature
    from model_signing import hashing, verifying

    signature = folder / SIGNATURE
    if not signature.exists():
        raise ReleaseError(
            f"{signature}: the release is not signed, and a public key is configured: "
            "publish it anew with SKYCLASS_SIGNING_KEY"
        )
    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    except (OSError, ValueError) as error:
        raise ReleaseError(
            f"{public_key}: no key to verify with ({_first_line(error)}): name a PEM file with an "
            "elliptic-curve public key"
        ) from error
    verifier.set_hashing_config(hashing.Config().set_ignored_paths(paths=[signature]))
    try:
        verifier.verify(folder, signature)
    except (InvalidSignature, KeyError, TypeError, ValueError) as error:  # of any JSON there is
        raise ReleaseError(
            f"the release in {folder} is not what was signed with the key of {public_key} "
            f"({_first_line(error) or type(error).__name__}): do not serve it, publish it anew"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:100]
