"""The engine is chosen by how many rows there are."""

import numpy as np
import numpy.typing as npt
import pytest

from skyclass.registry.models import LoadedModel
from skyclass.registry.releases import Release
from skyclass.survey.features import INPUTS, Mode
from tests.support.releases import draft

FEW, MANY = 1.0, 2.0


def constant(value: float) -> object:
    def run(features: npt.NDArray[np.float32], /) -> npt.NDArray[np.float64]:
        return np.full((len(features), 3), value)

    return run


@pytest.mark.parametrize(("rows", "answers"), [(1, FEW), (9, FEW), (10, MANY), (11, MANY)])
def test_many_rows_are_answered_by_the_engine_for_many(rows: int, answers: float) -> None:
    mode = Mode.PHOTOMETRIC
    release = Release("ab" * 32, draft(mode))
    model = LoadedModel(release, "onnx", constant(FEW), constant(MANY), bulk_rows=10)
    assert (model.probabilities(np.zeros((rows, len(INPUTS[mode])))) == answers).all()
