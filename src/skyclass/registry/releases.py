"""The model registry: immutable, content-addressed releases.

A release is the prefix `releases/<mode>/<id>/`, where the id is the SHA-256 of its manifest and
the manifest names every other file with its own SHA-256. So a release's address vouches for all of
its bytes, and nothing needs a lock or a conditional write: what is written twice is the same.
"""

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from skyclass.errors import ReleaseError
from skyclass.registry.manifest import FileEntry, Manifest, parse_document
from skyclass.registry.signatures import SIGNATURE, sign
from skyclass.storage.s3 import ObjectMissingError, ObjectStore
from skyclass.survey.features import Mode

RELEASES_PREFIX = "releases"
MANIFEST = "manifest.json"
JOBLIB_MODEL = "model.joblib"
ONNX_MODEL = "model.onnx"
REFERENCE = "reference.parquet"
REPORT = "report.html"
CONFUSION = "confusion.png"

_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".parquet": "application/vnd.apache.parquet",
    ".sig": "application/json",
}

_ID = re.compile(r"[0-9a-f]{64}")
_SHORTEST_ABBREVIATION = 6


@dataclass(frozen=True)
class Release:
    """A release: its id and its manifest."""

    id: str
    manifest: Manifest

    @property
    def mode(self) -> Mode:
        """The mode of the release's model."""
        return self.manifest.mode

    @property
    def prefix(self) -> str:
        """The release's place in the models bucket."""
        return f"{RELEASES_PREFIX}/{self.mode}/{self.id}/"


class Registry:
    """Releases in the models bucket."""

    def __init__(self, store: ObjectStore) -> None:
        """Use the models bucket of an object store."""
        self._store = store
        self._bucket = store.settings.models_bucket

    def publish(self, draft: Manifest, files: Mapping[str, Path]) -> Release:
        """Write a release, its manifest last, then read all of it back.

        Where SKYCLASS_SIGNING_KEY names a key, the release is signed with it.

        Args:
            draft: The manifest, whose `files` are filled in here.
            files: The release's files by their path in it.

        Raises:
            ReleaseError: What was read back is not what was written.
            StoreError: The object store failed; what it holds is no release, as the manifest is
                missing. Publish again.
        """
        contents = {path: file.read_bytes() for path, file in sorted(files.items())}
        entries = tuple(_entry(path, data) for path, data in contents.items())
        manifest = draft.model_copy(update={"files": entries})
        release = Release(_sha256(manifest.to_bytes()), manifest)
        contents[MANIFEST] = manifest.to_bytes()
        if key := self._store.settings.signing_key:
            contents = {SIGNATURE: sign(contents, key), **contents}
        for path, data in contents.items():
            content_type = _CONTENT_TYPES.get(Path(path).suffix, "application/octet-stream")
            self._store.put(self._bucket, release.prefix + path, data, content_type)
        written = self.read(release.mode, release.id)
        for entry in written.manifest.files:
            self.read_file(written, entry.path)
        return written

    def list_releases(self, mode: Mode) -> list[Release]:
        """All complete releases of a mode, the oldest first."""
        prefix = f"{RELEASES_PREFIX}/{mode}/"
        found = []
        for folder in self._store.list_prefixes(self._bucket, prefix):
            name = folder.removeprefix(prefix).rstrip("/")
            try:
                found.append(self.read(mode, name))
            except ObjectMissingError:
                continue  # a publish that was killed before its manifest: no release
        return sorted(found, key=lambda release: release.manifest.created_at)

    def find(self, abbreviation: str) -> Release:
        """The release whose id begins so.

        Raises:
            ReleaseError: None does, or more than one.
        """
        if len(abbreviation) < _SHORTEST_ABBREVIATION:
            raise ReleaseError(
                f"{abbreviation}: give at least {_SHORTEST_ABBREVIATION} characters of the id"
            )
        found = []
        for mode in Mode:
            prefix = f"{RELEASES_PREFIX}/{mode}/"
            for folder in self._store.list_prefixes(self._bucket, prefix + abbreviation):
                found.append((mode, folder.removeprefix(prefix).rstrip("/")))
        if len(found) != 1:
            how_many = "no release begins" if not found else f"{len(found)} releases begin"
            raise ReleaseError(f"{how_many} with {abbreviation}: see `skyclass releases`")
        try:
            return self.read(*found[0])
        except ObjectMissingError as error:
            raise ReleaseError(
                f"release {found[0][1][:12]} was never published whole: publish it anew"
            ) from error

    def read_file(self, release: Release, path: str) -> bytes:
        """Read one file of a release, and verify it.

        Raises:
            ReleaseError: The release has no such file, or it is not what the manifest says.
        """
        entry = next((entry for entry in release.manifest.files if entry.path == path), None)
        if entry is None:
            raise ReleaseError(
                f"release {release.id[:12]} has no file {path}: train and publish a new release"
            )
        try:
            data = self._store.get(self._bucket, release.prefix + path)
        except ObjectMissingError as error:
            raise ReleaseError(
                f"release {release.id[:12]}: {path} is missing: train and publish a new release"
            ) from error
        _verify(entry, data)
        return data

    def download(self, release: Release, folder: Path) -> None:
        """Copy a release's files into a folder, each verified on arrival.

        Raises:
            ReleaseError: A file is not what the manifest says.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for entry in release.manifest.files:
            (folder / entry.path).write_bytes(self.read_file(release, entry.path))
        (folder / MANIFEST).write_bytes(release.manifest.to_bytes())
        with suppress(ObjectMissingError):  # not every release is signed
            signature = self._store.get(self._bucket, release.prefix + SIGNATURE)
            (folder / SIGNATURE).write_bytes(signature)

    def read(self, mode: Mode, name: str) -> Release:
        """The release of that id.

        Raises:
            ObjectMissingError: There is none.
            ReleaseError: Its manifest is not the one of that id.
        """
        key = f"{RELEASES_PREFIX}/{mode}/{name}/{MANIFEST}"
        return parse_release(self._store.get(self._bucket, key), name)


def open_release(folder: Path) -> Release:
    """Verify a release that lies in a folder, as KServe's storage initializer leaves it.

    Nothing is deserialised before every file has the size and the digest of the manifest.

    Raises:
        ReleaseError: The manifest or a file is missing, or not what it should be.
    """
    try:
        manifest = (folder / MANIFEST).read_bytes()
        release = parse_release(manifest, _sha256(manifest))
        for entry in release.manifest.files:
            _verify(entry, (folder / entry.path).read_bytes())
    except FileNotFoundError as error:
        raise ReleaseError(
            f"{error.filename}: the file is missing: check that storageUri names a whole release"
        ) from error
    return release


def parse_release(data: bytes, name: str) -> Release:
    """Read a manifest and check it against the id that it was found under.

    Raises:
        ReleaseError: The bytes are not a manifest, or not the one of that id.
    """
    if not _ID.fullmatch(name):
        raise ReleaseError(f"{name} is no release id (64 hexadecimal digits): check the address")
    if _sha256(data) != name:
        raise ReleaseError(
            f"release {name[:12]}: its manifest has been changed (digest {_sha256(data)[:12]}): "
            "do not serve it, publish it anew"
        )
    return Release(name, parse_document(Manifest, data, f"release {name[:12]}"))


def _entry(path: str, data: bytes) -> FileEntry:
    return FileEntry(path=path, size=len(data), sha256=_sha256(data))


def _verify(entry: FileEntry, data: bytes) -> None:
    if len(data) != entry.size or _sha256(data) != entry.sha256:
        raise ReleaseError(
            f"{entry.path}: {len(data)} bytes with digest {_sha256(data)[:12]} where the manifest "
            f"says {entry.size} with {entry.sha256[:12]}: do not serve it, publish it anew"
        )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
