"""Brings a release to this machine, and makes sure that it answers before it is served."""

import logging
import shutil
import tempfile
from pathlib import Path

from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors

from skyclass.errors import ReleaseError
from skyclass.registry.models import LoadedModel, load_model
from skyclass.registry.releases import Registry, Release, open_release
from skyclass.registry.signatures import verify
from skyclass.settings import Settings
from skyclass.storage.s3 import ObjectStore, split_uri
from skyclass.survey.features import FEATURES, INPUTS, Mode
from skyclass.survey.observation import CLASSES

logger = logging.getLogger(__name__)

CACHE = "cache/releases"
"""Where downloaded releases lie, below the home folder."""

_CANNOT_RUN = (
    ImportError,
    AttributeError,  # a pickle that names what this installation does not have
    FileNotFoundError,
    KeyError,
    ValueError,
    onnx_errors.Fail,
    onnx_errors.InvalidArgument,
    onnx_errors.InvalidGraph,
    onnx_errors.InvalidProtobuf,
    onnx_errors.NoSuchFile,
    onnx_errors.NotImplemented,
    onnx_errors.RuntimeException,
)


def load(
    folder: Path, mode: Mode, expected: str | None = None, public_key: Path | None = None
) -> LoadedModel:
    """Verify the release in a folder, load its model and ask it once.

    Args:
        folder: The release.
        mode: The mode that the server was asked to serve.
        expected: Id of the release that it has to be; any when not given.
        public_key: Key that it has to be signed with; when not given, no signature is needed.

    Raises:
        ReleaseError: The release is damaged, another, not signed, of another mode, or cannot be
            run here.
    """
    # A release in a folder vouches for its files, but nothing there vouches for its manifest.
    if expected is not None and (found := open_release(folder).id) != expected:
        raise ReleaseError(
            f"the release in {folder} is {found[:12]}, not {expected[:12]}: its manifest has been "
            "changed, or storageUri was: do not serve it, promote a release anew"
        )
    if public_key is not None:
        verify(folder, public_key)
    try:
        model = load_model(folder)
        _check_contract(model.release, mode)
        # Also warms the model up: the first answer takes several times as long as the next.
        answer = model.probabilities([[20.0] * len(INPUTS[mode])])
    except _CANNOT_RUN as error:
        raise ReleaseError(
            f"the model in {folder} cannot be run here ({type(error).__name__}): "
            "serve it from an image with the libraries that its manifest names, or train again"
        ) from error
    if answer.shape != (1, len(CLASSES)):
        raise ReleaseError(f"the model in {folder} answers with shape {answer.shape}: train again")
    return model


def fetch_release(release: Release, registry: Registry, home: Path) -> Path:
    """Copy a release below the home folder, unless a whole copy is there.

    Raises:
        ReleaseError: A file in the object store is not what the manifest says.
        StoreError: The object store failed.
    """
    folder = home / CACHE / release.id
    if folder.exists():
        try:
            if open_release(folder).id == release.id:
                return folder
        except ReleaseError:
            logger.warning("the copy of release %s is damaged: fetching it anew", release.id)
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as part:
        registry.download(release, Path(part) / release.id)
        try:
            (Path(part) / release.id).replace(folder)
        except OSError:
            if not folder.exists():  # else another process was faster
                raise
    return folder


def fetch_address(address: str, settings: Settings) -> Path:
    """Find the release that an address names.

    Args:
        address: A folder, or s3://<bucket>/releases/<mode>/<id>/.
        settings: How to reach the object store.

    Raises:
        ReleaseError: There is no release at the address.
        StoreError: The object store failed.
    """
    if not address.startswith("s3://"):
        return Path(address)
    bucket, prefix = split_uri(address)
    elsewhere = settings.model_copy(update={"models_bucket": bucket})
    registry = Registry(ObjectStore(elsewhere))
    release = registry.find(prefix.rstrip("/").rpartition("/")[2])
    if release.prefix != f"{prefix.rstrip('/')}/":
        raise ReleaseError(f"{address} is no release: write s3://{bucket}/{release.prefix}")
    return fetch_release(release, registry, settings.home)


def _check_contract(release: Release, mode: Mode) -> None:
    """Refuse a model that would be asked other questions than those it was trained on."""
    manifest = release.manifest
    if manifest.mode != mode:
        raise ReleaseError(
            f"release {release.id[:12]} is {manifest.mode}, this server is {mode}: "
            f"serve it with --mode {manifest.mode}"
        )
    ours = (INPUTS[mode], FEATURES[mode], CLASSES)
    if (manifest.inputs, manifest.features, manifest.classes) != ours:
        raise ReleaseError(
            f"release {release.id[:12]} was trained on other features or classes than this "
            "version of skyclass makes: serve it with the version that trained it, or train again"
        )
