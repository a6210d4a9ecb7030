"""The model of a release, ready to be asked: ONNX where that is proven to agree, else joblib.

Some forests are faster as joblib when they are asked about thousands of rows at once; where their
manifest says so, both are loaded.
"""

import logging
import tempfile
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from skyclass.errors import ReleaseError
from skyclass.registry.releases import JOBLIB_MODEL, ONNX_MODEL, Registry, Release, open_release
from skyclass.survey.features import make_features

logger = logging.getLogger(__name__)

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
        bulk_engine: The same, faster where there are many rows.
        bulk_rows: How many are many.
    """

    release: Release
    engine_name: str
    engine: Engine
    bulk_engine: Engine | None = None
    bulk_rows: int = 0

    def probabilities(self, inputs: npt.ArrayLike) -> Probabilities:
        """Class probabilities of objects.

        Args:
            inputs: Shape (n, len(INPUTS[mode])), in the order of the manifest's `inputs`.

        Returns:
            Shape (n, 3), in the order of the manifest's `classes`.
        """
        features = make_features(inputs, self.release.mode)
        if self.bulk_engine is not None and len(features) >= self.bulk_rows:
            return self.bulk_engine(features)
        return self.engine(features)


def load_model(folder: Path) -> LoadedModel:
    """Verify a release in a folder, then load its model.

    Raises:
        ReleaseError: A file is not what the manifest says, or the only usable model was pickled
            by other libraries.
    """
    release = open_release(folder)
    parity = release.manifest.parity
    if not parity.passed:
        return LoadedModel(release, "joblib", _load_joblib(release, folder))
    onnx = LoadedModel(release, "onnx", onnx_engine(folder / ONNX_MODEL))
    if parity.faster_below is None:
        return onnx
    try:
        bulk = _load_joblib(release, folder)
    except ReleaseError as error:
        logger.warning("many rows at once will take longer than they could: %s", error)
        return onnx
    return replace(onnx, bulk_engine=bulk, bulk_rows=parity.faster_below)


def download_model(registry: Registry, release: Release) -> LoadedModel:
    """Download a release to a temporary folder, verify it and load its model.

    Raises:
        ReleaseError: The release is damaged, or its model was pickled by other libraries.
        StoreError: The object store failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        registry.download(release, Path(folder))
        return load_model(Path(folder))


def _load_joblib(release: Release, folder: Path) -> Engine:
    """Unpickle what the scikit-learn here has written; its arrays want NumPy's major version."""
    for library, digits in (("scikit-learn", 3), ("numpy", 1), ("joblib", 1)):
        there = release.manifest.libraries.get(library, "an unknown version")
        here = metadata.version(library)
        if there.split(".")[:digits] != here.split(".")[:digits]:
            raise ReleaseError(
                f"release {release.id[:12]} was pickled with {library} {there}, here runs {here}: "
                f"serve it from an image with {there}, or train again"
            )
    import joblib  # with scikit-learn behind it: seconds and megabytes that ONNX does without

    return joblib_engine(joblib.load(folder / JOBLIB_MODEL))


def onnx_engine(model: Path | bytes) -> Engine:
    """Run an ONNX model on one thread: the server's processes share the cores among themselves.

    Args:
        model: Its file, or what is in it; the file takes less memory.
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


def joblib_engine(estimator: Any) -> Engine:
    """Run a fitted scikit-learn classifier."""

    def run(features: npt.NDArray[np.float32], /) -> Probabilities:
        return estimator.predict_proba(features)

    return run
