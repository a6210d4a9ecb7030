"""Writes a fitted model as joblib, which is canonical, and as ONNX, which is fast."""

import logging
import timeit
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator
from sklearn.base import ClassifierMixin

from skyclass.registry.manifest import OnnxParity
from skyclass.registry.models import FEATURES_INPUT, Engine, joblib_engine, onnx_engine
from skyclass.registry.releases import JOBLIB_MODEL, ONNX_MODEL

logger = logging.getLogger(__name__)

MAX_DIFFERENCE = 1e-4
"""Largest difference of a probability between the two models that still counts as agreement."""

_TIMED_ROWS, _TIMES = (300, 1_000, 3_000, 10_000), 3
_CLEARLY = 0.8

_LIBRARIES = ("joblib", "numpy", "onnx", "onnxruntime", "scikit-learn", "skl2onnx")


def export(model: ClassifierMixin, probe: npt.NDArray[np.float32], folder: Path) -> OnnxParity:
    """Write the model both ways and compare their answers.

    Args:
        model: A fitted classifier.
        probe: Features of shape (n, k) to compare the two models on.
        folder: Where the files go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _on_one_thread(model)
    joblib.dump(model, folder / JOBLIB_MODEL, compress=3)
    shape = [None, probe.shape[1]]
    try:
        converted = to_onnx(
            model,
            initial_types=[(FEATURES_INPUT, FloatTensorType(shape))],
            options={"zipmap": False},
        )
    except (MissingConverter, MissingShapeCalculator, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        return OnnxParity(passed=False, reason=f"there is no ONNX converter for it: {reason}")
    data = converted.SerializeToString()
    (folder / ONNX_MODEL).write_bytes(data)
    return _compare(model, data, probe)


def library_versions() -> dict[str, str]:
    """Versions of everything that a model's files depend on."""
    return {"python": python_version(), **{name: metadata.version(name) for name in _LIBRARIES}}


def _compare(model: ClassifierMixin, data: bytes, probe: npt.NDArray[np.float32]) -> OnnxParity:
    expected, got = joblib_engine(model)(probe), onnx_engine(data)(probe)
    mismatches = int((expected.argmax(axis=1) != got.argmax(axis=1)).sum())
    difference = float(np.abs(expected - got).max())
    passed = mismatches == 0 and difference <= MAX_DIFFERENCE
    return OnnxParity(
        passed=passed,
        reason=f"{'same' if passed else 'other'} answers as joblib on {len(probe)} rows",
        rows=len(probe),
        label_mismatches=mismatches,
        max_difference=difference,
        faster_below=faster_below(joblib_engine(model), onnx_engine(data), probe),
    )


def faster_below(
    joblib_model: Engine, onnx_model: Engine, probe: npt.NDArray[np.float32]
) -> int | None:
    """Find from how many rows on joblib is clearly faster, as it is with deep forests.

    Args:
        joblib_model: The model as joblib.
        onnx_model: The same as ONNX.
        probe: Features to ask both about, as often as is needed.
    """
    found = None
    for rows in reversed(_TIMED_ROWS):
        table = np.resize(probe, (rows, probe.shape[1]))
        if _seconds(joblib_model, table) > _CLEARLY * _seconds(onnx_model, table):
            break
        found = rows
    return found


def _seconds(engine: Engine, table: npt.NDArray[np.float32]) -> float:
    return min(timeit.repeat(lambda: engine(table), number=1, repeat=_TIMES))


def _on_one_thread(model: Any) -> None:
    """A forest that spawns threads for one row is five times slower when it is served."""
    if "n_jobs" in model.get_params():
        model.set_params(n_jobs=1)
