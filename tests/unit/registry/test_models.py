"""Selection of the engine by the number of rows."""

import numpy as np
import numpy.typing as npt
import pytest

from skyclass.registry.models import LoadedModel
from skyclass.registry.releases import Release
from skyclass.survey.features import INPUTS, Mode
from tests.support.releases import draft

DEFAULT, BULK = 1.0, 2.0


def make_constant_engine(value: float) -> object:
    def run(features: npt.NDArray[np.float32], /) -> npt.NDArray[np.float64]:
        return np.full((len(features), 3), value)

    return run


@pytest.mark.parametrize(("rows", "expected"), [(1, DEFAULT), (9, DEFAULT), (10, BULK), (11, BULK)])
def test_bulk_engine_predicts_large_batches(rows: int, expected: float) -> None:
    mode = Mode.PHOTOMETRIC
    release = Release("ab" * 32, draft(mode))
    model = LoadedModel(
        release, "onnx", make_constant_engine(DEFAULT), make_constant_engine(BULK), bulk_rows=10
    )
    inputs = np.zeros((rows, len(INPUTS[mode])))
    assert (model.predict_probabilities(inputs) == expected).all()
