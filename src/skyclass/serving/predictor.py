"""The model as KServe sees it: requests are read before they are counted, answered, and logged."""

import asyncio
import os
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import kserve

from skyclass.catalog.observation import CLASSES
from skyclass.features import INPUTS
from skyclass.serving.answers import Answer
from skyclass.serving.objects import BadRequest, Objects, model_name
from skyclass.serving.prediction_log import Answered, PredictionLog
from skyclass.serving.requests import read_v1
from skyclass.serving.settings import ServingSettings
from skyclass.serving.tensors import CLASS_OUTPUT, PROBABILITIES_OUTPUT, V2Request, read_v2
from skyclass.store.models import LoadedModel

INLINE_ROWS = 64
"""So few rows an ONNX model answers in about a millisecond: less than a change of threads costs
under load, and too short to keep the event loop from its other connections."""

REQUEST_ID = "x-request-id"
_LONGEST_REQUEST_ID = 128


@dataclass(frozen=True)
class Question:
    """A request whose objects can be classified."""

    id: str
    objects: Objects


class Predictor(kserve.Model):  # type: ignore[misc] # kserve publishes no types
    """Answers requests with the release that is served at the moment.

    KServe calls `preprocess`, `predict` and `postprocess` in turn and times each; a request that
    cannot be read fails in the first, so that its failures are not counted among the model's.
    """

    def __init__(self, model: LoadedModel, log: PredictionLog, settings: ServingSettings) -> None:
        """Serve a model.

        Args:
            model: The model; its mode is the predictor's for good.
            log: Where answers are kept.
            settings: Limits on requests.
        """
        self.mode = model.release.mode
        super().__init__(model_name(self.mode))
        self._model = model
        self._log = log
        self._settings = settings
        self._threads = ThreadPoolExecutor(len(os.sched_getaffinity(0)), "model")
        self.ready = True

    @property
    def model(self) -> LoadedModel:
        """What is served at the moment."""
        return self._model

    def change_to(self, model: LoadedModel) -> None:
        """Answer with another model from now on; requests in flight keep theirs."""
        self._model = model

    def validate(self, payload: Any) -> Any:
        """Leave all checks to `preprocess`, which names row and field."""
        return payload

    async def preprocess(
        self, payload: dict[str, Any] | V2Request, headers: Mapping[str, str] | None = None
    ) -> Question:
        """Read a request.

        Args:
            payload: The parsed body of a V1 or V2 request.
            headers: The request's headers.

        Raises:
            BadRequest: It cannot be answered.
        """
        own_id = None
        if isinstance(payload, V2Request):
            own_id = payload.id
            objects = read_v2(payload.tensors, self.mode, self._settings.max_rows)
        else:
            objects = read_v1(payload, self.mode, self._settings.max_rows)
        given = (headers or {}).get(REQUEST_ID) or own_id
        if given and len(given) > _LONGEST_REQUEST_ID:
            raise BadRequest(400, f"the request's id is longer than {_LONGEST_REQUEST_ID}")
        return Question(given or str(uuid.uuid4()), objects)

    async def predict(self, question: Question, headers: Mapping[str, str] | None = None) -> Answer:
        """Classify objects and keep the answer in the prediction log."""
        model, objects = self._model, question.objects
        if model.engine_name == "onnx" and len(objects.inputs) <= INLINE_ROWS:
            probabilities = model.probabilities(objects.inputs)
        else:
            loop = asyncio.get_running_loop()
            probabilities = await loop.run_in_executor(
                self._threads, model.probabilities, objects.inputs
            )
        self._log.offer(
            Answered(
                time=datetime.now(UTC),
                request_id=question.id,
                model_version=model.release.id,
                mode=self.mode,
                inputs=objects.inputs,
                keys=objects.keys,
                probabilities=probabilities,
            )
        )
        return Answer(question.id, model.release.id, probabilities, objects.flags)

    def get_input_types(self) -> list[dict[str, Any]]:
        """One column per input: V2's metadata can name them in no other form."""
        return [{"name": name, "datatype": "FP64", "shape": [-1]} for name in INPUTS[self.mode]]

    def get_output_types(self) -> list[dict[str, Any]]:
        """The class and the probabilities of each object."""
        return [
            {"name": CLASS_OUTPUT, "datatype": "BYTES", "shape": [-1]},
            {"name": PROBABILITIES_OUTPUT, "datatype": "FP32", "shape": [-1, len(CLASSES)]},
        ]
