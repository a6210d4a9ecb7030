"""The model of a release, ready to be asked: ONNX where that is proven to agree, else joblib."""

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from skyclass.errors import ReleaseError
from skyclass.features import make_features
from skyclass.store.releases import JOBLIB_MODEL, ONNX_MODEL, Release, open_release

FEATURES_INPUT = "features"
PROBABILITIES_OUTPUT = "probabilities"

Probabilities = npt.NDArray[np.float64]


class Engine(Protocol):
    """Whatever computes class probabilities from features."""

    def __call__(self, features: npt.NDArray[np.float32], /) -> Probabilities:
        """Features of shape (n, k) in, probabilities of shape (n, 3) out."""


@dataclass(frozen=True)
class LoadedModel:
    """A verified release and the engine that runs its model.

    Attributes:
        release: The release.
        engine_name: `onnx` or `joblib`.
        engine: Computes probabilities from features.
    """

    release: Release
    engine_name: str
    engine: Engine

    def probabilities(self, inputs: npt.ArrayLike) -> Probabilities:
        """Class probabilities of objects.

        Args:
            inputs: Shape (n, len(INPUTS[mode])), in the order of the manifest's `inputs`.

        Returns:
            Shape (n, 3), in the order of the manifest's `classes`.
        """
        return self.engine(make_features(inputs, self.release.mode))


def load_model(folder: Path) -> LoadedModel:
    """Verify a release in a folder, then load its model.

    Raises:
        ReleaseError: A file is not what the manifest says, or the only usable model was pickled
            by other libraries.
    """
    release = open_release(folder)
    if release.manifest.parity.passed:
        return LoadedModel(release, "onnx", onnx_engine((folder / ONNX_MODEL).read_bytes()))
    _check_libraries(release)
    import joblib  # with scikit-learn behind it: seconds and megabytes that ONNX does without

    return LoadedModel(release, "joblib", joblib_engine(joblib.load(folder / JOBLIB_MODEL)))


def _check_libraries(release: Release) -> None:
    """A pickle is read by the scikit-learn that wrote it, and its arrays by the same NumPy."""
    for library, digits in (("scikit-learn", 3), ("numpy", 1), ("joblib", 1)):
        there = release.manifest.libraries.get(library, "an unknown version")
        here = metadata.version(library)
        if there.split(".")[:digits] != here.split(".")[:digits]:
            raise ReleaseError(
                f"release {release.id[:12]} was pickled with {library} {there}, here runs {here}: "
                f"serve it from an image with {there}, or train again"
            )


def onnx_engine(model: bytes) -> Engine:
    """Run an ONNX model on one thread: the server's processes share the cores among themselves."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(features: npt.NDArray[np.float32], /) -> Probabilities:
        return session.run([PROBABILITIES_OUTPUT], {FEATURES_INPUT: features})[0]

    return run


def joblib_engine(estimator: Any) -> Engine:
    """Run a fitted scikit-learn classifier."""

    def run(features: npt.NDArray[np.float32], /) -> Probabilities:
        return estimator.predict_proba(features)

    return run
