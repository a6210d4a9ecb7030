"""Keys to sign with, made for a test."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class KeyPair:
    """PEM files with the halves of a key."""

    private: Path
    public: Path


def make_key_pair(folder: Path) -> KeyPair:
    """Make a key in a folder of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    folder.mkdir()
    pair = KeyPair(folder / "private.pem", folder / "public.pem")
    pair.private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    pair.public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return pair
