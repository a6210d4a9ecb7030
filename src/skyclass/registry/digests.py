"""SHA-256 digests of the files of a release."""

import hashlib

from skyclass.errors import ReleaseError
from skyclass.registry.manifest import FileEntry


def compute_digest(data: bytes) -> str:
    """Return the SHA-256 of data in hex."""
    return hashlib.sha256(data).hexdigest()


def make_entry(path: str, data: bytes) -> FileEntry:
    """Describe a file for the manifest."""
    return FileEntry(path=path, size=len(data), sha256=compute_digest(data))


def verify_file(entry: FileEntry, data: bytes) -> None:
    """Compare a file with its entry in the manifest.

    Args:
        entry: The entry.
        data: The file, of which at least one byte more than the entry's size was read.

    Raises:
        ReleaseError: Size or digest differ.
    """
    digest = compute_digest(data)
    if (len(data), digest) != (entry.size, entry.sha256):
        size = f"more than {entry.size}" if len(data) > entry.size else f"{len(data)}"
        raise ReleaseError(
            f"{entry.path}: {size} bytes with digest {digest[:12]}, expected {entry.size} "
            f"bytes with {entry.sha256[:12]}: do not serve it, publish the release again"
        )
