"""Loads a release for serving: downloads it, verifies it, and runs its model once."""

import logging
import shutil
import tempfile
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from skyclass.errors import ReleaseError
from skyclass.registry.models import LoadedModel, load_verified_model, translate_model_errors
from skyclass.registry.releases import Registry, Release, open_release
from skyclass.registry.signatures import verify
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore, split_uri
from skyclass.survey.features import FEATURES, GROUP_FEATURES, INPUTS, OPTIONAL_INPUTS, Mode
from skyclass.survey.observation import CLASSES
from skyclass.urls import normalize_scheme

logger = logging.getLogger(__name__)

CACHE = "cache/releases"
"""Folder of downloaded releases below the home folder."""


@dataclass(frozen=True)
class VerifiedFolder:
    """A folder with the files of a release, which match its manifest.

    Attributes:
        path: The folder.
        release: The release.
    """

    path: Path
    release: Release

    @classmethod
    def open(cls, path: Path) -> "VerifiedFolder":
        """Verify the files of a folder.

        Raises:
            ReleaseError: The manifest or a file is missing, malformed or was modified.
        """
        return cls(path, open_release(path))


def load_release(
    verified: VerifiedFolder,
    mode: Mode,
    expected: str | None = None,
    public_key: str | Path | None = None,
) -> LoadedModel:
    """Load the model of a release and predict one row.

    Args:
        verified: The release.
        mode: Mode that the server serves.
        expected: Id that the release must have; None for any.
        public_key: Key that must verify its signature; None needs no signature.

    Raises:
        ReleaseError: The release has another id or mode, is not signed, or its model does not run
            here.
    """
    folder, release = verified.path, verified.release
    # The manifest authenticates the other files; only the expected id authenticates the manifest.
    if expected is not None and release.id != expected:
        raise ReleaseError(
            f"the release in {folder} is {release.id[:12]}, expected {expected[:12]}: the manifest "
            "or storageUri was modified; do not serve it, promote a release again"
        )
    if public_key is not None:
        verify(folder, public_key)
    model = load_verified_model(release, folder)
    _check_contract(release, mode)
    with translate_model_errors(release):
        # Also warms the model up: the first prediction takes several times as long as the next.
        features = model.compute_features([[20.0] * len(INPUTS[mode])])
        probabilities = model.predict_from_features(features)
        if model.domain is not None:
            model.domain.find_outside(features, release.manifest.features)
    if probabilities.shape != (1, len(CLASSES)):
        raise ReleaseError(
            f"the model in {folder} returns shape {probabilities.shape} for one row, "
            f"expected (1, {len(CLASSES)}): train again"
        )
    return model


def fetch_release(release: Release, registry: Registry, home: Path) -> VerifiedFolder:
    """Download a release to the cache, unless an intact copy is there; each file is hashed once.

    Raises:
        ReleaseError: A file in the object store differs from the manifest.
        StoreError: The object store failed.
    """
    folder = home / CACHE / release.id
    if folder.exists():
        try:
            if (cached := VerifiedFolder.open(folder)).release.id == release.id:
                return cached
        except ReleaseError:
            logger.warning(
                "the cached copy of release %s is damaged: downloading it again", release.id
            )
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as part:
        registry.download(release, Path(part) / release.id)
        try:
            (Path(part) / release.id).replace(folder)
        except OSError:
            if not folder.exists():  # otherwise another process was faster
                raise
    return VerifiedFolder(folder, release)


def resolve_release(uri: str, settings: Settings) -> VerifiedFolder:
    """Verify the release at a URI, downloading it first if it is in the object store.

    Args:
        uri: A folder, or s3://<bucket>/releases/<mode>/<id>/.
        settings: Object store and home folder.

    Raises:
        ReleaseError: There is no release at the URI, or it is damaged.
        StoreError: The object store failed.
    """
    uri = normalize_scheme(uri)
    if not uri.startswith("s3://"):
        return VerifiedFolder.open(Path(uri))
    bucket, prefix = split_uri(uri)
    registry = Registry(ObjectStore(settings.model_copy(update={"models_bucket": bucket})))
    release = registry.find(prefix.rstrip("/").rpartition("/")[2])
    if release.prefix != f"{prefix.rstrip('/')}/":
        raise ReleaseError(f"{uri} is not a release: use s3://{bucket}/{release.prefix}")
    return fetch_release(release, registry, settings.home)


def _check_contract(release: Release, mode: Mode) -> None:
    """Reject a model whose inputs, features or classes differ from those of this version."""
    manifest = release.manifest
    if manifest.mode != mode:
        raise ReleaseError(
            f"release {release.id[:12]} is {manifest.mode}, this server is {mode}: "
            f"serve it with --mode {manifest.mode}"
        )
    required, found = FEATURES[mode], manifest.features
    optional = chain.from_iterable(GROUP_FEATURES.values()) if OPTIONAL_INPUTS[mode] else ()
    is_computed = found[: len(required)] == required and {*required, *optional}.issuperset(found)
    if not is_computed or (manifest.inputs, manifest.classes) != (INPUTS[mode], CLASSES):
        raise ReleaseError(
            f"release {release.id[:12]} was trained on other features or classes than this "
            "version of skyclass computes: serve it with the version that trained it, or train "
            "again"
        )
