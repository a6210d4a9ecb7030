"""Export of a fitted model as joblib, which is canonical, and as ONNX, which is faster."""

from pathlib import Path

import joblib
import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin

from skyclass.errors import TrainingError
from skyclass.registry.manifest import MAX_FORMAT_DIFFERENCE, OnnxParity
from skyclass.registry.models import Engine, load_onnx_engine, make_joblib_engine
from skyclass.registry.releases import JOBLIB_MODEL, ONNX_MODEL
from skyclass.training.onnx_conversion import CONVERSION_ERRORS, convert_to_onnx

MAX_MODEL_BYTES = 18_000_000
"""Largest size of both formats together. The other files of a release have 2 MB."""


def export(
    model: ClassifierMixin,
    probe: npt.NDArray[np.float32],
    folder: Path,
    missing: bool = False,
) -> OnnxParity:
    """Write a model in both formats and compare their predictions.

    Args:
        model: A fitted classifier.
        probe: Features of the rows to compare, shape (n, k).
        folder: Output folder.
        missing: Whether the model was fitted on rows with missing features (NaN).

    Raises:
        TrainingError: The files are larger than `MAX_MODEL_BYTES`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / JOBLIB_MODEL, compress=3)
    try:
        onnx_model = convert_to_onnx(model, probe.shape[1], missing)
    except CONVERSION_ERRORS as error:
        _check_size(folder)
        reason = str(error).splitlines()[0]
        return OnnxParity(passed=False, reason=f"there is no ONNX converter for it: {reason}")
    (folder / ONNX_MODEL).write_bytes(onnx_model)
    _check_size(folder)
    return _compare(make_joblib_engine(model), load_onnx_engine(onnx_model), probe)


def _compare(
    joblib_model: Engine, onnx_model: Engine, probe: npt.NDArray[np.float32]
) -> OnnxParity:
    expected, got = joblib_model(probe), onnx_model(probe)
    mismatches = int((expected.argmax(axis=1) != got.argmax(axis=1)).sum())
    difference = float(np.abs(expected - got).max())
    passed = mismatches == 0 and difference <= MAX_FORMAT_DIFFERENCE
    return OnnxParity(
        passed=passed,
        reason=f"{'predicts like' if passed else 'differs from'} joblib on {len(probe)} rows",
        rows=len(probe),
        label_mismatches=mismatches,
        max_difference=difference,
    )


def _check_size(folder: Path) -> None:
    files = (folder / JOBLIB_MODEL, folder / ONNX_MODEL)
    sizes = {file.name: file.stat().st_size for file in files if file.exists()}
    if sum(sizes.values()) > MAX_MODEL_BYTES:
        found = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sizes.items())
        raise TrainingError(
            f"the model is too large for a release: {found}, together at most "
            f"{MAX_MODEL_BYTES / 1e6:g} MB; bound the number and the leaves of its trees"
        )
