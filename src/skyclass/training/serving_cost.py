"""What fitted models cost where they are served, measured before one of them is selected."""

import io
import time
from collections.abc import Sequence

import joblib
import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin

from skyclass.registry.models import Engine, load_onnx_engine, make_joblib_engine
from skyclass.registry.preference import ServingCost
from skyclass.training.onnx_conversion import CONVERSION_ERRORS, convert_to_onnx

ROWS = 1_000
"""Rows of the timed requests: small ones take as long with any model."""
_CALLS = 7


def measure_costs(
    models: Sequence[ClassifierMixin], features: npt.NDArray[np.float32]
) -> list[ServingCost]:
    """Measure time and size of models in the format that they are served in.

    Processor time is measured, and the models take turns, so that other work on the machine does
    not decide between them.

    Args:
        models: Fitted classifiers.
        features: Rows that they were fitted on, shape (n, k); repeated to `ROWS` rows.
    """
    missing = bool(np.isnan(features).any())
    prepared = [_prepare(model, features.shape[1], missing) for model in models]
    rows = np.resize(features, (ROWS, features.shape[1]))
    fastest = [float("inf")] * len(models)
    for _ in range(_CALLS):
        for number, (engine, _) in enumerate(prepared):
            start = time.process_time()
            engine(rows)
            fastest[number] = min(fastest[number], time.process_time() - start)
    return [
        ServingCost(milliseconds=round(1_000 * seconds, 3), size=size)
        for seconds, (_, size) in zip(fastest, prepared, strict=True)
    ]


def _prepare(model: ClassifierMixin, features: int, missing: bool) -> tuple[Engine, int]:
    try:
        converted = convert_to_onnx(model, features, missing)
    except CONVERSION_ERRORS:
        file = io.BytesIO()
        joblib.dump(model, file, compress=3)
        return make_joblib_engine(model), len(file.getvalue())
    return load_onnx_engine(converted), len(converted)
