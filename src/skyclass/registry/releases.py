"""Releases: publish, list, find, download and verify them."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from skyclass.errors import ReleaseError, ReleaseNotFoundError
from skyclass.registry.digests import compute_digest, make_entry, verify_file
from skyclass.registry.documents import parse_document
from skyclass.registry.manifest import Manifest
from skyclass.registry.signatures import SIGNATURE, sign
from skyclass.storage.s3 import PARQUET_TYPE, ObjectMissingError, ObjectStore
from skyclass.survey.features import Mode

RELEASES_PREFIX = "releases"
MANIFEST = "manifest.json"
JOBLIB_MODEL = "model.joblib"
ONNX_MODEL = "model.onnx"
REFERENCE = "reference.parquet"
DUST_MAP = "dust_map.npy"
REPORT = "report.html"
MODEL_CARD = "model_card.md"
CONFUSION = "confusion.png"
DOMAIN = "domain.json"

_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".png": "image/png",
    ".parquet": PARQUET_TYPE,
    ".sig": "application/json",
}
_ID = re.compile(r"[0-9a-f]{64}")
_BEGINNING_OF_ID = re.compile(r"[0-9a-f]{1,64}")
_MIN_ABBREVIATION_LENGTH = 6

_MAX_MANIFEST_BYTES = 16 * 2**20
"""A hundred times the size of a manifest. What follows is not read, so the digest differs."""


@dataclass(frozen=True)
class Release:
    """A release: its id and its manifest."""

    id: str
    manifest: Manifest

    @property
    def mode(self) -> Mode:
        """The mode of the model."""
        return self.manifest.mode

    @property
    def prefix(self) -> str:
        """Prefix of the release's objects in the models bucket, with a trailing slash."""
        return _make_prefix(self.mode, self.id)


class Registry:
    """The releases in the models bucket."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._bucket = store.settings.models_bucket

    def publish(self, draft: Manifest, files: Mapping[str, Path]) -> Release:
        """Write a release, the manifest last, then read all of it back.

        The release is signed if SKYCLASS_SIGNING_KEY names a key.

        Args:
            draft: The manifest; its `files` are set here.
            files: The files by their path within the release.

        Raises:
            ReleaseError: What was read back differs from what was written.
            StoreError: The object store failed. The release has no manifest, so it does not exist;
                publish it again.
        """
        contents = {path: file.read_bytes() for path, file in sorted(files.items())}
        entries = tuple(make_entry(path, data) for path, data in contents.items())
        manifest = draft.model_copy(update={"files": entries}).to_bytes()
        contents[MANIFEST] = manifest
        if key := self._store.settings.signing_key:
            contents = {SIGNATURE: sign(contents, key), **contents}
        release_id = compute_digest(manifest)
        for path, data in contents.items():
            content_type = _CONTENT_TYPES.get(Path(path).suffix, "application/octet-stream")
            key_in_bucket = _make_prefix(draft.mode, release_id) + path
            self._store.put(self._bucket, key_in_bucket, data, content_type)
        release = self.read(draft.mode, release_id)
        self.verify(release)
        return release

    def verify(self, release: Release) -> None:
        """Verify all files of a release.

        Raises:
            ReleaseError: A file is missing or differs from the manifest.
        """
        for entry in release.manifest.files:
            self.read_file(release, entry.path)

    def list_releases(self, mode: Mode) -> list[Release]:
        """Return all complete releases of a mode, oldest first.

        Raises:
            ReleaseError: A manifest is malformed or was modified.
        """
        releases = []
        for release_id in self.list_ids(mode):
            with suppress(ObjectMissingError):  # a publish that ended before its manifest
                releases.append(self.read(mode, release_id))
        return sorted(releases, key=lambda release: release.manifest.created_at)

    def list_ids(self, mode: Mode, abbreviation: str = "") -> Iterator[str]:
        """Yield the ids of a mode that begin with a text; some may have no manifest."""
        prefix = f"{RELEASES_PREFIX}/{mode}/"
        for each in self._store.list_prefixes(self._bucket, prefix + abbreviation):
            yield each.removeprefix(prefix).rstrip("/")

    def list_of_run(self, mode: Mode, run_id: str) -> list[Release]:
        """Return the releases of a mode that a run has published, without damaged ones."""
        releases = []
        for release_id in self.list_ids(mode):
            with suppress(ObjectMissingError, ReleaseError):
                releases.append(self.read(mode, release_id))
        return [release for release in releases if release.manifest.run_id == run_id]

    def find(self, abbreviation: str) -> Release:
        """Return the release whose id begins with an abbreviation.

        Raises:
            ReleaseNotFoundError: No release does, more than one does, or the abbreviation is too
                short.
            ReleaseError: The release has no manifest, or its manifest is malformed.
        """
        if len(abbreviation) < _MIN_ABBREVIATION_LENGTH:
            raise ReleaseNotFoundError(
                f"{abbreviation!r} is too short for a release id: "
                f"give at least {_MIN_ABBREVIATION_LENGTH} characters"
            )
        modes = Mode if _BEGINNING_OF_ID.fullmatch(abbreviation) else ()
        matches = [(mode, each) for mode in modes for each in self.list_ids(mode, abbreviation)]
        if len(matches) != 1:
            count = f"{len(matches)} releases begin" if matches else "no release begins"
            raise ReleaseNotFoundError(f"{count} with {abbreviation}: see `skyclass releases`")
        try:
            return self.read(*matches[0])
        except ObjectMissingError as error:
            raise ReleaseError(
                f"release {matches[0][1][:12]} has no {MANIFEST}, its publication did not finish: "
                "publish it again"
            ) from error

    def read(self, mode: Mode, release_id: str) -> Release:
        """Read the release of an id.

        Raises:
            ObjectMissingError: There is no such release.
            ReleaseError: Its manifest is malformed or was modified.
        """
        release = parse_release(self._read_manifest(mode, release_id), release_id)
        if release.mode != mode:
            raise ReleaseError(
                f"release {release_id[:12]} is {release.mode}, but is stored as {mode}: "
                "publish it again"
            )
        return release

    def read_file(self, release: Release, path: str) -> bytes:
        """Read and verify one file of a release.

        Raises:
            ReleaseError: The release has no such file, or the file differs from the manifest.
        """
        entry = next((entry for entry in release.manifest.files if entry.path == path), None)
        if entry is None:
            raise ReleaseError(
                f"release {release.id[:12]} has no file {path}: train and publish a new release"
            )
        try:
            # One byte more shows that the object is too large, however large it is.
            data = self._store.get(self._bucket, release.prefix + path, entry.size + 1)
        except ObjectMissingError as error:
            raise ReleaseError(
                f"release {release.id[:12]}: {path} is missing: train and publish a new release"
            ) from error
        verify_file(entry, data)
        return data

    def download(self, release: Release, folder: Path) -> None:
        """Copy the files of a release into a folder; each is verified before it is written.

        Raises:
            ReleaseError: A file is missing or differs from the manifest.
        """
        manifest = self._read_manifest(release.mode, release.id)
        parse_release(manifest, release.id)
        folder.mkdir(parents=True, exist_ok=True)
        for entry in release.manifest.files:
            (folder / entry.path).write_bytes(self.read_file(release, entry.path))
        # The stored bytes: a manifest of an older version may serialise differently by now.
        (folder / MANIFEST).write_bytes(manifest)
        with suppress(ObjectMissingError):  # signatures are optional
            signature = self._store.get(self._bucket, release.prefix + SIGNATURE)
            (folder / SIGNATURE).write_bytes(signature)

    def _read_manifest(self, mode: Mode, release_id: str) -> bytes:
        key = _make_prefix(mode, release_id) + MANIFEST
        return self._store.get(self._bucket, key, _MAX_MANIFEST_BYTES)


def open_release(folder: Path) -> Release:
    """Verify the files of a release in a folder, such as KServe's storage initializer writes.

    Nothing is deserialised before size and digest of every file match the manifest.

    Raises:
        ReleaseError: The manifest or a file is missing, malformed or was modified.
    """
    try:
        manifest = (folder / MANIFEST).read_bytes()
        release = parse_release(manifest, compute_digest(manifest))
        for entry in release.manifest.files:
            with (folder / entry.path).open("rb") as file:
                verify_file(entry, file.read(entry.size + 1))
    except OSError as error:
        is_missing = isinstance(error, FileNotFoundError)
        raise ReleaseError(
            f"{error.filename}: {'the file is missing' if is_missing else error.strerror}: check "
            "that storageUri names a whole release"
        ) from error
    return release


def parse_release(data: bytes, release_id: str) -> Release:
    """Parse a manifest and verify it against the id of its release.

    Raises:
        ReleaseError: The id is malformed, or the manifest is malformed or was modified.
    """
    if not _ID.fullmatch(release_id):
        raise ReleaseError(
            f"{release_id!r} is not a release id (64 hexadecimal digits): check the address"
        )
    if (digest := compute_digest(data)) != release_id:
        raise ReleaseError(
            f"release {release_id[:12]}: its manifest was modified (digest {digest[:12]}): "
            "do not serve it, publish the release again"
        )
    return Release(release_id, parse_document(Manifest, data, f"release {release_id[:12]}"))


def _make_prefix(mode: Mode, release_id: str) -> str:
    return f"{RELEASES_PREFIX}/{mode}/{release_id}/"
