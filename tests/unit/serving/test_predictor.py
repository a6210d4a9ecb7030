"""What the predictor logs of a request."""

import numpy as np
import numpy.typing as npt
import pytest

from skyclass.registry.models import LoadedModel
from skyclass.registry.releases import Release
from skyclass.serving.inputs import Inputs
from skyclass.serving.log_entry import LogEntry
from skyclass.serving.log_writer import PredictionLogWriter
from skyclass.serving.options import NO_OPTIONS
from skyclass.serving.predictor import Predictor
from skyclass.serving.settings import ServingSettings
from skyclass.storage.s3 import ObjectStore
from skyclass.survey.features import INPUTS, Mode
from tests.support.releases import draft

MODE = Mode.PHOTOMETRIC
INPUTS_OF_REQUEST = Inputs(np.full((1, len(INPUTS[MODE])), 20.0), {})


def predict_equally(features: npt.NDArray[np.float32], /) -> npt.NDArray[np.float64]:
    return np.full((len(features), 3), 1 / 3)


@pytest.mark.parametrize(("key", "logged"), [("k", "k"), ("", None), (None, None)])
def test_an_empty_idempotency_key_is_none(
    key: str | None, logged: str | None, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise all requests with an empty one would count as attempts of one request."""
    entries: list[LogEntry] = []
    log = PredictionLogWriter(store, ServingSettings())
    monkeypatch.setattr(log, "append", entries.append)
    model = LoadedModel(Release("ab" * 32, draft(MODE)), "onnx", predict_equally)
    Predictor(MODE, log).predict(model, INPUTS_OF_REQUEST, NO_OPTIONS, None, key)
    assert [entry.idempotency_key for entry in entries] == [logged]
