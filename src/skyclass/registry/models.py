"""Load the model of a release: ONNX if it matches the joblib model, otherwise joblib."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors

from skyclass.errors import ReleaseError
from skyclass.registry.documents import parse_document
from skyclass.registry.domain import DomainModel
from skyclass.registry.releases import (
    DOMAIN,
    DUST_MAP,
    JOBLIB_MODEL,
    ONNX_MODEL,
    Registry,
    Release,
)
from skyclass.survey.dust import DustMap, fill_extinction
from skyclass.survey.features import Mode, make_features

FEATURES_INPUT = "features"
PROBABILITIES_OUTPUT = "probabilities"

Probabilities = npt.NDArray[np.float64]

_SORTED_ROWS = 100
"""Smallest batch that is sorted; for fewer rows, sorting costs as much as it saves."""

_PICKLE_LIBRARIES = (("scikit-learn", 3), ("numpy", 1), ("joblib", 1))
"""Libraries whose version must match to unpickle a model, and how many parts of the version."""

_MODEL_ERRORS = (
    ImportError,
    AttributeError,  # a pickle that refers to a name that this installation lacks
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


class Engine(Protocol):
    """Computes class probabilities from features."""

    def __call__(self, features: npt.NDArray[np.float32], /) -> Probabilities:
        """Map features of shape (n, k) to probabilities of shape (n, 3)."""


@dataclass(frozen=True)
class LoadedModel:
    """The model of a verified release.

    Attributes:
        release: The release.
        engine_name: `onnx` or `joblib`.
        engine: Computes probabilities from features.
        dust_map: Map for rows with a position and without an extinction; None in releases without
            the feature.
        domain: Finds rows that are unlike the training rows. None in releases of 0.1.0.
    """

    release: Release
    engine_name: str
    engine: Engine
    dust_map: DustMap | None = None
    domain: DomainModel | None = None

    def predict_probabilities(self, inputs: npt.ArrayLike) -> Probabilities:
        """Predict class probabilities.

        Args:
            inputs: Shape (n, len(INPUTS[mode])) or (n, len(ALL_INPUTS[mode])), in that order.

        Returns:
            Shape (n, 3), in the order of the manifest's `classes`.
        """
        return self.predict_from_features(self.compute_features(inputs))

    def compute_features(self, inputs: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Compute the features of the release.

        Args:
            inputs: Shape (n, len(INPUTS[mode])) or (n, len(ALL_INPUTS[mode])), in that order.

        Returns:
            Shape (n, len(features of the manifest)).
        """
        mode = self.release.mode
        filled = fill_extinction(inputs, mode, self.dust_map)
        return make_features(filled, mode, self.release.manifest.features)

    def predict_from_features(self, features: npt.NDArray[np.float32]) -> Probabilities:
        """Predict class probabilities, shape (n, 3), from the result of `compute_features`.

        A batch is predicted in the order of one feature: rows that follow each other take the same
        branches of a tree, which the processor then predicts. This saves a quarter of the time.
        """
        if len(features) < _SORTED_ROWS:
            return self.engine(features)
        order = features[:, self._sort_column].argsort()
        in_order = self.engine(features[order])
        probabilities = np.empty_like(in_order)
        probabilities[order] = in_order
        return probabilities

    @cached_property
    def _sort_column(self) -> int:
        """The feature that separates the classes best; every release of its mode has it."""
        best = "redshift" if self.release.mode is Mode.SPECTROSCOPIC else "g-r"
        return self.release.manifest.features.index(best)


def download_model(registry: Registry, release: Release) -> LoadedModel:
    """Download a release to a temporary folder and load its model.

    Raises:
        ObjectMissingError: There is no such release.
        ReleaseError: A file differs from the manifest, or the model cannot be loaded here.
    """
    with tempfile.TemporaryDirectory() as folder:
        registry.download(release, Path(folder))  # verifies every file
        return load_verified_model(release, Path(folder))


def load_verified_model(release: Release, folder: Path) -> LoadedModel:
    """Load the model of a release whose files have been verified already.

    Args:
        release: Returned by `open_release`, or downloaded with `Registry.download`.
        folder: The folder of its files.

    Raises:
        ReleaseError: The only usable model was pickled with other library versions, the libraries
            here cannot load it, or the dust map is malformed.
    """
    dust_map, domain = _load_dust_map(release, folder), _load_domain(release, folder)
    name = "onnx" if release.manifest.parity.passed else "joblib"
    with translate_model_errors(release):
        if name == "onnx":
            engine = load_onnx_engine(folder / ONNX_MODEL)
        else:
            engine = _load_joblib(release, folder)
    return LoadedModel(release, name, engine, dust_map=dust_map, domain=domain)


@contextmanager
def translate_model_errors(release: Release) -> Iterator[None]:
    """Translate errors of the libraries that load and run the model of a release.

    Raises:
        ReleaseError: The libraries here differ from those of the manifest.
    """
    try:
        yield
    except _MODEL_ERRORS as error:
        raise ReleaseError(
            f"release {release.id[:12]}: its model cannot run here ({type(error).__name__}): "
            "serve it from an image with the libraries of its manifest, or train again"
        ) from error


def _load_dust_map(release: Release, folder: Path) -> DustMap | None:
    if DUST_MAP not in (entry.path for entry in release.manifest.files):
        return None
    try:
        return DustMap.load(folder / DUST_MAP)
    except ValueError as error:
        raise ReleaseError(
            f"release {release.id[:12]}: {DUST_MAP}: {error}: publish the release again"
        ) from error


def _load_domain(release: Release, folder: Path) -> DomainModel | None:
    if all(entry.path != DOMAIN for entry in release.manifest.files):
        return None
    return parse_document(
        DomainModel, (folder / DOMAIN).read_bytes(), f"release {release.id[:12]}: {DOMAIN}"
    )


def _load_joblib(release: Release, folder: Path) -> Engine:
    for library, parts in _PICKLE_LIBRARIES:
        trained = release.manifest.libraries.get(library, "an unknown version")
        installed = metadata.version(library)
        if trained.split(".")[:parts] != installed.split(".")[:parts]:
            raise ReleaseError(
                f"release {release.id[:12]} was pickled with {library} {trained}, installed is "
                f"{installed}: serve it from an image with {trained}, or train again"
            )
    import joblib  # imports scikit-learn: seconds and megabytes that ONNX does not need

    return make_joblib_engine(joblib.load(folder / JOBLIB_MODEL))


def load_onnx_engine(model: Path | bytes) -> Engine:
    """Return an engine for an ONNX model, which runs on the thread of its caller.

    ONNX Runtime's own threads would slow down single rows, which it splits by trees.

    Args:
        model: Its file or its bytes; a file takes less memory.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(model) if isinstance(model, Path) else model,
        options,
        providers=["CPUExecutionProvider"],
    )

    def run(features: npt.NDArray[np.float32], /) -> Probabilities:
        return session.run([PROBABILITIES_OUTPUT], {FEATURES_INPUT: features})[0]

    return run


def load_engine(model: Path) -> Engine:
    """Load a model file, ONNX or joblib, that was verified or written by this process."""
    if model.suffix == Path(ONNX_MODEL).suffix:
        return load_onnx_engine(model)
    import joblib

    return make_joblib_engine(joblib.load(model))


def make_joblib_engine(estimator: Any) -> Engine:
    """Return an engine for a fitted scikit-learn classifier."""

    def run(features: npt.NDArray[np.float32], /) -> Probabilities:
        return estimator.predict_proba(features)

    return run
